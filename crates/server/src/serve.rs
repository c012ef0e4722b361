//! The life of a server process, from checked settings to its exit.

use std::future::pending;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, bail};
use node::config::{Config, Loaded, Settings};

use crate::listen::{self, Acceptor};
use crate::platform::StoreOptions;
use crate::signals::Signals;
use crate::telemetry::BANNER;
use crate::{files, limits, members, platform, telemetry};

/// What a client from elsewhere is told in protected mode: Redis's words, by which people find their way.
const PROTECTED: &str = "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default \
     user. In this mode connections are only accepted from the loopback interface. If you want to connect from external \
     computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command \
     'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is \
     running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make \
     this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration \
     file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server \
     manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password \
     for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting \
     connections from the outside.";

/// Serves until a signal asks to stop. An error is one line for the operator.
pub(crate) fn serve(loaded: Loaded, store_options: StoreOptions) -> anyhow::Result<()> {
    let Loaded { mut settings, file, mut notes } = loaded;
    files::make_absolute(&mut settings)?;
    notes.extend(limits::fit_clients(&mut settings)?);
    let file = file.map(std::path::absolute).transpose().context("finding the place of the configuration file")?;
    let config = Config::new(settings, file);
    telemetry::start(&config)?;
    let done = run(&config, &notes, store_options);
    if let Err(error) = &done
        && !config.current().logfile.is_empty()
    {
        // Whoever looks for the reason later looks there.
        tracing::error!("{error:#}");
    }
    done
}

fn run(config: &Config, notes: &[String], store_options: StoreOptions) -> anyhow::Result<()> {
    let settings = config.current();
    abort_on_panic();
    // BEFORE anything is opened: a node that cannot find itself among the members must not form a group.
    let own_member = if settings.initial_members.is_empty() { None } else { Some(members::own_place(&settings)?) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let clients = listen_to_clients(&settings)?;
        let _pid_file = files::PidFile::write(&settings.pidfile)?;
        say_hello(&settings, &clients, notes);
        let (node, store) = platform::start(config, own_member, store_options)?;
        let mut acceptor = Acceptor::new(clients)?;
        let admit = |socket: TcpStream, peer: SocketAddr| {
            let own = socket.local_addr().map_or_else(|_| String::new(), |own| own.to_string());
            node.connect(socket, peer.to_string(), own)
        };
        let said_ready = async {
            match node.ready().await {
                Ok(()) => tracing::info!("Ready to accept connections"),
                // The branch that waits for failures ends the process.
                Err(_) => return pending().await,
            }
            pending().await
        };
        let reason = tokio::select! {
            biased;
            signal = signals.stop() => signal,
            () = node.asked_to_stop() => "SHUTDOWN",
            // BEFORE what the node makes of it.
            why = store.failure() => bail!(why),
            why = node.failure() => bail!(why),
            () = accept(&mut acceptor, config, admit) => pending().await,
            () = said_ready => pending().await,
        };
        drop(acceptor);
        tracing::info!("{reason}: stopping");
        tokio::select! {
            biased;
            () = node.stop() => (),
            signal = signals.stop() => bail!("{signal} again: stopping at once"),
        }
        store.close();
        tracing::info!("stopped");
        Ok(())
    })
}

/// The listening sockets for clients; none with `port 0`.
fn listen_to_clients(settings: &Settings) -> anyhow::Result<Vec<TcpListener>> {
    match settings.port {
        0 if settings.peer_port().is_none() => bail!("nothing to serve: port is 0 and there are no peers; set port"),
        0 => Ok(Vec::new()),
        port => listen::open(&settings.bind, "port", port, settings.tcp_backlog),
    }
}

/// The banner, and what the operator should know about the configuration.
fn say_hello(settings: &Settings, clients: &[TcpListener], notes: &[String]) {
    let addresses: Vec<String> =
        clients.iter().filter_map(|listener| Some(listener.local_addr().ok()?.to_string())).collect();
    let clients = if addresses.is_empty() { "none".to_owned() } else { addresses.join(" ") };
    let mode = match (settings.cluster_enabled, settings.initial_members.is_empty()) {
        (true, _) => "cluster",
        (false, true) => "standalone",
        (false, false) => "replicated",
    };
    let peers = settings.peer_port().map_or_else(String::new, |port| format!(", peers on port {port}"));
    tracing::info!(
        target: BANNER,
        "Cairn {} {mode}, clients on {clients}{peers}, dir {}, pid {}",
        env!("CARGO_PKG_VERSION"),
        settings.dir,
        std::process::id()
    );
    for note in notes {
        tracing::warn!("{note}");
    }
}

/// Accepts for ever. `admit` takes a connection over, or gives it back with the error to answer.
async fn accept(
    acceptor: &mut Acceptor,
    config: &Config,
    admit: impl Fn(TcpStream, SocketAddr) -> Result<(), (TcpStream, &'static str)>,
) {
    let mut short = false;
    loop {
        let (stream, peer) = match acceptor.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                let Some(pause) = Acceptor::pause_after(&error) else { continue };
                // Once per shortage, not once per attempt.
                if !std::mem::replace(&mut short, true) {
                    tracing::warn!("cannot accept connections for now: {error}");
                }
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        short = false;
        // Gone already, or an address family that has no such option: the connection's task finds out.
        let _ = listen::keep_alive(&stream, config.current().tcp_keepalive_seconds);
        let refused = match kept_out(&config.current(), peer.ip()) {
            Some(why) => Err((stream, why)),
            None => admit(stream, peer),
        };
        if let Err((stream, why)) = refused {
            turn_away(stream, why);
        }
    }
}

/// Why protected mode does not let a client in: without a password, only this machine's own programs are served.
fn kept_out(settings: &Settings, client: IpAddr) -> Option<&'static str> {
    let open = !settings.protected_mode || !settings.requirepass.is_empty() || client.to_canonical().is_loopback();
    (!open).then_some(PROTECTED)
}

/// Answers a connection that is not served, as far as that goes without waiting, and closes it.
fn turn_away(mut stream: TcpStream, why: &str) {
    let _ = stream.write_all(format!("-{why}\r\n").as_bytes());
}

/// Makes a panic on any thread the end of the process, in every build: a node with a dead task is worse than a dead node.
fn abort_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        tell(panic);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_mode_lets_loopback_in() {
        let mut settings = Settings::defaults();
        let out = |settings: &Settings, ip: &str| kept_out(settings, ip.parse().unwrap()).is_some();
        for (ip, kept) in [("127.0.0.1", false), ("::1", false), ("::ffff:127.0.0.1", false), ("192.0.2.1", true)] {
            assert_eq!(out(&settings, ip), kept, "{ip}");
        }
        settings.requirepass = "secret".to_owned();
        assert!(!out(&settings, "192.0.2.1"));
        settings.requirepass.clear();
        settings.protected_mode = false;
        assert!(!out(&settings, "192.0.2.1"));
    }
}

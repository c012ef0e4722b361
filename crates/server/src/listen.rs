//! Sockets that listen, and accepting from all of them.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use node::config::BindAddress;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// Opens a listening socket on every address of `bind` for `port`, which is what the directive `directive` says.
pub(crate) fn open(
    addresses: &[BindAddress],
    directive: &str,
    port: u16,
    backlog: u32,
) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let resolved = match resolve(&address.host, port) {
            Ok(resolved) => resolved,
            Err(_) if address.optional => continue,
            Err(error) => bail!("cannot find the address {} of bind: {error}", address.host),
        };
        for at in resolved {
            match open_one(at, backlog) {
                Ok(listener) => listeners.push(listener),
                Err(error) if address.optional && is_missing(&error) => {}
                Err(error) => return Err(anyhow!(advice(at, directive, &error))),
            }
        }
    }
    if listeners.is_empty() {
        bail!("none of the addresses of bind is on this machine: correct bind, or set port 0 to serve no TCP");
    }
    Ok(listeners)
}

/// The socket addresses that one word of `bind` means.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        "*" => Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]),
        "::*" => Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into()]),
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![(ip, port).into()]),
            // A name may have several addresses of one family; the first of each is what clients try, too.
            Err(_) => {
                let all: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
                let first = |v4: bool| all.iter().copied().find(|at| at.is_ipv4() == v4);
                Ok([first(true), first(false)].into_iter().flatten().collect())
            }
        },
    }
}

fn open_one(at: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // A restarted server takes its port back although connections of the old one are still in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if at.is_ipv6() {
        // So that `*` and `::*` can be listened on side by side.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &at)?;
    listen(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from(socket))
}

/// Whether the machine does not have the address.
fn is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no stable kind: IPv6 is switched off.
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// What is wrong and what to do, in one line.
fn advice(at: SocketAddr, directive: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "cannot listen on {at}: the port is taken; stop the process that has it, or choose another {directive}"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("cannot listen on {at}: not permitted; choose a {directive} of 1024 or more")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "cannot listen on {at}: this machine does not have the address; correct bind, or write -{}",
                at.ip()
            )
        }
        _ => format!("cannot listen on {at}: {error}"),
    }
}

/// Makes the kernel probe a silent client, so that a connection whose other end is gone does not stay for ever.
pub(crate) fn keep_alive(stream: &TcpStream, seconds: u32) -> io::Result<()> {
    /// Probes without an answer before the connection is given up.
    const PROBES: u32 = 3;
    if seconds == 0 {
        return Ok(());
    }
    sockopt::set_socket_keepalive(stream, true)?;
    // The kernel refuses more than 32767 seconds.
    let idle = seconds.min(32_767);
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(idle.into()))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs((idle / PROBES).max(1).into()))?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    Ok(())
}

/// Accepts from several listening sockets. Belongs to the runtime on which it was made.
pub(crate) struct Acceptor {
    listeners: Vec<tokio::net::TcpListener>,
    /// Whose turn it is, so that a busy address does not starve the others.
    turn: usize,
}

impl Acceptor {
    /// Takes listeners as [`open`] makes them: they do not block.
    pub(crate) fn new(listeners: Vec<TcpListener>) -> anyhow::Result<Self> {
        let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>();
        Ok(Self { listeners: listeners.context("watching the listening sockets")?, turn: 0 })
    }

    /// The next connection, not blocking. Dropping the future loses none. An error is about one connection or about a shortage
    /// that passes; see [`Acceptor::pause_after`].
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.listeners.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            if let Poll::Ready(accepted) = self.listeners[at].poll_accept(cx) {
                self.turn = at + 1;
                // It goes to another thread's runtime.
                return Poll::Ready(accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))));
            }
        }
        Poll::Pending
    }

    /// How long to wait before accepting again after this error: a shortage (files, memory) would be met again at
    /// once, while the connection that caused an error of its own is gone.
    pub(crate) fn pause_after(error: &io::Error) -> Option<Duration> {
        match error.kind() {
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => None,
            _ => Some(Duration::from_millis(100)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, optional: bool) -> BindAddress {
        BindAddress { host: host.to_owned(), optional }
    }

    #[test]
    fn a_taken_port_says_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = open(&[address("127.0.0.1", false)], "port", port, 16).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot listen on 127.0.0.1:{port}: the port is taken; stop the process that has it, or choose another port"
            )
        );
    }

    #[test]
    fn a_missing_address_is_an_error_unless_optional() {
        // From the range for documentation: no machine has it.
        let missing = |optional| address("192.0.2.1", optional);
        let error = open(&[missing(false)], "port", 0, 16).unwrap_err().to_string();
        assert!(error.contains("does not have the address"), "{error}");
        assert_eq!(open(&[address("127.0.0.1", false), missing(true)], "port", 0, 16).unwrap().len(), 1);
        let error = open(&[missing(true)], "port", 0, 16).unwrap_err().to_string();
        assert!(error.contains("none of the addresses"), "{error}");
    }

    #[test]
    fn connections_of_all_listeners_are_accepted() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let opened = open(&[address("127.0.0.1", false), address("127.0.0.1", false)], "port", 0, 16).unwrap();
            let addresses: Vec<SocketAddr> = opened.iter().map(|listener| listener.local_addr().unwrap()).collect();
            let mut acceptor = Acceptor::new(opened).unwrap();
            let clients: Vec<TcpStream> =
                addresses.iter().chain(&addresses).map(|at| TcpStream::connect(at).unwrap()).collect();
            let mut peers = Vec::new();
            for _ in &clients {
                let (stream, peer) = acceptor.accept().await.unwrap();
                keep_alive(&stream, 300).unwrap();
                peers.push(peer);
            }
            for client in &clients {
                assert!(peers.contains(&client.local_addr().unwrap()));
            }
        });
    }
}

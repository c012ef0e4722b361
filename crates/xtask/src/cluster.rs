//! `cluster`: a cluster on this machine, to try things out with. Formed as a user would do it, by redis-cli.
//!
//! Each run begins anew, with its data below the target directory. The nodes share the chore's process group: Ctrl-C reaches
//! them too, and each ends as it does when it is told to.

use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bench::client::{Reply, ask_once};
use crate::bench::server::{PEER_PORT_OFFSET, Scratch, Server, info_number, is_free};
use crate::bench::{clock, release_build};
use crate::stage::{Error, Outcome, not_started};
use crate::tree::Tree;

/// redis-cli forms no cluster of fewer masters.
const MASTERS_MIN: u16 = 3;
/// A machine bears few servers.
const NODES_MAX: u16 = 64;
/// Voters of a shard, where there are nodes enough.
const VOTERS: u64 = 3;
/// How long a new cluster may take until every shard has its voters. They are placed when nothing has changed for 3 s.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at nodes that run.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The command line, read.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    nodes: u16,
    replicas: u16,
    port: NonZeroU16,
}

/// Starts a cluster and keeps it until Ctrl-C.
pub(crate) fn cluster(tree: &Tree, words: &[&str]) -> Outcome {
    let options = read(words)?;
    let binary = release_build(tree)?;
    let scratch = Scratch::in_place(tree, "cluster")?;
    let mut nodes = start(&scratch, &binary, &options)?;
    let said = form(&nodes, options.replicas)?;
    println!("{said}");
    wait_until_whole(&nodes)?;
    let port = options.port;
    println!("{} nodes, ports {port} to {}. In another terminal:\n", options.nodes, last_port(&options));
    println!("  redis-cli -c -p {port}\n  redis-cli --cluster check 127.0.0.1:{port}\n");
    println!("Data and logs: {}. Ctrl-C stops all of them.", scratch.path().display());
    loop {
        clock::pause(LOOK_EVERY);
        nodes.iter_mut().try_for_each(Server::expect_running)?;
    }
}

fn start(scratch: &Scratch, binary: &Path, options: &Options) -> Outcome<Vec<Server>> {
    let ports = options.port.get()..=last_port(options);
    // Another server there would answer in the node's place.
    if let Some(taken) = ports.clone().find(|&port| !is_free(port) || !is_free(port + PEER_PORT_OFFSET)) {
        let message = format!("port {taken} or {} is taken: choose others by --port", taken + PEER_PORT_OFFSET);
        return Err(Error::Failed(message));
    }
    let mut nodes = ports.map(|port| scratch.cluster_node(binary, port)).collect::<Outcome<Vec<Server>>>()?;
    nodes.iter_mut().try_for_each(Server::spawn)?;
    nodes.iter_mut().try_for_each(Server::wait_until_ready)?;
    Ok(nodes)
}

fn last_port(options: &Options) -> u16 {
    options.port.get() + options.nodes - 1
}

/// Makes a cluster of nodes that run, as a user would; what redis-cli said.
pub(crate) fn form(nodes: &[Server], replicas: u16) -> Outcome<String> {
    let mut command = Command::new("redis-cli");
    command.args(["--cluster", "create"]).args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())));
    command.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
    let output = command.output().map_err(|error| not_started(&command, &error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && said.contains("[OK] All 16384 slots covered.") {
        return Ok(said);
    }
    Err(Error::Failed(format!("redis-cli formed no cluster ({}):\n{said}", output.status)))
}

/// Waits until every node finds the cluster in order, and every master has its voters: then any one node may be lost.
pub(crate) fn wait_until_whole(nodes: &[Server]) -> Outcome {
    let is_whole = |node: &Server| {
        let text = |words: &[&str]| match ask_once(node.port(), words) {
            Some(Reply::Bulk(Some(text))) => Some(String::from_utf8_lossy(&text).into_owned()),
            _ => None,
        };
        let is_ok = text(&["CLUSTER", "INFO"])?.contains("cluster_state:ok");
        let voters = info_number(node.port(), "raft", "raft_voters")?;
        (is_ok && voters >= VOTERS).then_some(())
    };
    clock::wait_for("every shard to have its voters", WHOLE_WITHIN, || nodes.iter().try_for_each(is_whole))
}

fn read(words: &[&str]) -> Outcome<Options> {
    let mut options = Options { nodes: 6, replicas: 1, port: NonZeroU16::new(7000).expect("it is not 0") };
    let mut words = words.iter().copied();
    while let Some(option) = words.next() {
        let word = words.next().unwrap_or_default();
        let number = |least: u16, most: u16| {
            let number = word.parse().ok().filter(|number| (least..=most).contains(number));
            number
                .ok_or_else(|| Error::Usage(format!("`{option}` wants a number from {least} to {most}, not `{word}`")))
        };
        match option {
            "--nodes" => options.nodes = number(MASTERS_MIN, NODES_MAX)?,
            "--replicas" => options.replicas = number(0, NODES_MAX)?,
            "--port" => {
                let port = number(1, u16::MAX - PEER_PORT_OFFSET)?;
                options.port = NonZeroU16::new(port).expect("it is 1 at least");
            }
            _ => return Err(Error::Usage(format!("`cluster` does not know `{option}`"))),
        }
    }
    if options.nodes / (options.replicas + 1) < MASTERS_MIN {
        let (nodes, replicas) = (options.nodes, options.replicas);
        let message =
            format!("{nodes} nodes with {replicas} replicas to a master leave fewer than {MASTERS_MIN} masters");
        return Err(Error::Usage(message));
    }
    if options.port.get().checked_add(options.nodes).is_none_or(|end| end > u16::MAX - PEER_PORT_OFFSET) {
        return Err(Error::Usage(format!("the peers' ports, {PEER_PORT_OFFSET} above, would be too high")));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_nodes_unless_told_otherwise() {
        let options = read(&[]).unwrap();
        assert_eq!((options.nodes, options.replicas, options.port.get()), (6, 1, 7000));
        let options = read(&["--nodes", "9", "--replicas", "2", "--port", "8000"]).unwrap();
        assert_eq!((options.nodes, options.replicas, last_port(&options)), (9, 2, 8008));
    }

    #[test]
    fn what_forms_no_cluster_is_refused() {
        for words in [
            &["--nodes", "2"][..],
            &["--nodes", "5", "--replicas", "1"],
            &["--nodes"],
            &["--port", "60000"],
            &["--port", "55533", "--nodes", "6"],
            &["--fast"],
        ] {
            assert!(matches!(read(words), Err(Error::Usage(_))), "{words:?}");
        }
    }
}

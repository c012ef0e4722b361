//! Which of `initial-members` this node is.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use anyhow::bail;
use node::config::{Member, Settings};

/// The place of this node in `initial-members`: the member with our `port` at an address of ours. When several
/// qualify, as on loopback, the one that `bind` names counts.
pub(crate) fn own_place(settings: &Settings) -> anyhow::Result<usize> {
    find(settings, |member| addresses(member).into_iter().any(is_local))
}

fn find(settings: &Settings, is_here: impl Fn(&Member) -> bool) -> anyhow::Result<usize> {
    let bound = |member: &Member| settings.bind.iter().any(|address| address.host == member.host);
    let candidates: Vec<usize> = (0..settings.initial_members.len())
        .filter(|place| settings.initial_members[*place].port == settings.port)
        .filter(|place| bound(&settings.initial_members[*place]) || is_here(&settings.initial_members[*place]))
        .collect();
    let named: Vec<usize> =
        candidates.iter().copied().filter(|place| bound(&settings.initial_members[*place])).collect();
    match (&named[..], &candidates[..]) {
        ([place], _) | ([], [place]) => Ok(*place),
        ([], []) => bail!(
            "initial-members does not list this node: none of {} is an address of this machine with port {}",
            list(settings),
            settings.port
        ),
        _ => bail!(
            "initial-members lists this machine and port {} more than once among {}: name this node's address in bind",
            settings.port,
            list(settings)
        ),
    }
}

fn list(settings: &Settings) -> String {
    settings.initial_members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What a member's name stands for; nothing when it cannot be found out now.
fn addresses(member: &Member) -> Vec<IpAddr> {
    let found = (member.host.as_str(), member.port).to_socket_addrs();
    found.map(|all| all.map(|at| at.ip()).collect()).unwrap_or_default()
}

/// Whether the machine has this address: only then can a socket have it.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(port: u16, bind: &[&str], members: &[(&str, u16)]) -> Settings {
        let mut settings = Settings::defaults();
        settings.port = port;
        settings.bind =
            bind.iter().map(|host| node::config::BindAddress { host: (*host).to_owned(), optional: false }).collect();
        settings.initial_members =
            members.iter().map(|(host, port)| Member { host: (*host).to_owned(), port: *port }).collect();
        settings
    }

    #[test]
    fn a_node_finds_itself() {
        let local = [("127.0.0.1", 7000), ("127.0.0.1", 7001), ("127.0.0.1", 7002)];
        assert_eq!(own_place(&settings(7001, &["127.0.0.1"], &local)).unwrap(), 1);
        assert_eq!(own_place(&settings(7002, &["*"], &local)).unwrap(), 2);
        assert!(own_place(&settings(7003, &["127.0.0.1"], &local)).is_err());
        let by_address = [("127.0.0.1", 7000), ("127.0.0.2", 7000), ("192.0.2.1", 7000)];
        assert_eq!(own_place(&settings(7000, &["127.0.0.2"], &by_address)).unwrap(), 1);
        let error = own_place(&settings(7000, &["*"], &by_address)).unwrap_err().to_string();
        assert!(error.contains("more than once"), "{error}");
        assert_eq!(own_place(&settings(7000, &["*"], &[("localhost", 7000), ("192.0.2.1", 7000)])).unwrap(), 0);
    }
}

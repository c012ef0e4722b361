//! Replies, byte for byte. The texts are what valkey-server 9.1 answers in the same place.

use std::collections::BTreeMap;
use std::sync::Arc;

use resp::{ArgumentRanges, Protocol, parse_stored, write_command};
use topology::{ClusterId, Endpoint, First, Mark, NodeId, Outcome, Overlay, Refusal, ReplicaId, Topology, View};

use super::*;
use crate::face::{Link, PreferredEndpoint, Settings};
use crate::reports::{LinkRow, Traffic, write_links};

/// Node ids are one hex digit forty times.
fn node(digit: u8) -> NodeId {
    NodeId([digit << 4 | digit; 20])
}

fn name(digit: u8) -> String {
    node(digit).to_string()
}

fn single(digit: u8) -> Topology {
    let port = 7000 + u16::from(digit);
    let endpoint = Endpoint {
        ip: "127.0.0.1".to_owned(),
        port,
        tls_port: port + 500,
        peer_port: port + 10_000,
        hostname: if digit == 2 { "two.example".to_owned() } else { String::new() },
        availability_zone: if digit == 2 { "zone-a".to_owned() } else { String::new() },
        ..Endpoint::default()
    };
    let id = u64::from(digit);
    let (cluster, shard) = (ClusterId(u128::from(digit)), ShardId(u128::from(digit)));
    let (meta_replica, replica) = (ReplicaId(id * 10), ReplicaId(id * 10 + 1));
    Topology::single(First { cluster, node: node(digit), endpoint, meta_replica, shard, replica })
}

/// Three masters and a replica of the first that has the data, and one that has not.
fn cluster() -> Topology {
    let mut cluster = single(1);
    for (digit, slots) in [(1, "0-5460"), (2, "5461-10922"), (3, "10923-16383"), (4, ""), (5, "")] {
        if digit > 1 {
            let mut own = single(digit);
            own.apply(&Change::Joining { cluster: cluster.cluster() }).unwrap();
            cluster.apply(&own.join_change(ReplicaId(100 + u64::from(digit))).unwrap()).unwrap();
        }
        cluster.apply(&Change::AddSlots { node: node(digit), slots: slots.parse().unwrap() }).unwrap();
    }
    for digit in [4, 5] {
        let replica = ReplicaId(200 + u64::from(digit));
        cluster.apply(&Change::Replicate { node: node(digit), shard: ShardId(1), replica }).unwrap();
    }
    let (voters, learners) = (vec![ReplicaId(11)], vec![ReplicaId(204)]);
    let group = topology::Group::Shard(ShardId(1));
    cluster.apply(&Change::MembershipDone { group, at: 1, voters, learners }).unwrap();
    cluster
}

fn face_of(topology: &Topology, overlay: &Overlay, myself: u8, endpoint: PreferredEndpoint) -> Face {
    let link = |_: &NodeId| Link { is_up: true, ping_sent_ms: 0, pong_received_ms: 1234, failure_reports: 0 };
    let mut links: BTreeMap<NodeId, Link> = topology.nodes().keys().map(|node| (*node, link(node))).collect();
    links.insert(node(3), Link { ping_sent_ms: 77, failure_reports: 2, ..Link::default() });
    let settings = Settings { myself: node(myself), endpoint, full_coverage: true };
    Face::new(Arc::new(View::new(topology, overlay)), settings, links)
}

fn face(myself: u8) -> Face {
    face_of(&cluster(), &Overlay::default(), myself, PreferredEndpoint::Ip)
}

/// A node that knows nobody.
fn alone() -> Face {
    face_of(&single(1), &Overlay::default(), 1, PreferredEndpoint::Ip)
}

/// What a node knows, written down; it is in touch.
struct Facts<'a> {
    key_count: usize,
    offsets: &'a BTreeMap<NodeId, u64>,
    traffic: Traffic,
}

impl NodeFacts for Facts<'_> {
    fn key_count(&self) -> usize {
        self.key_count
    }

    fn offset(&self, node: NodeId) -> u64 {
        self.offsets.get(&node).copied().unwrap_or_default()
    }

    fn sent(&self) -> Traffic {
        self.traffic.clone()
    }

    fn received(&self) -> Traffic {
        self.traffic.clone()
    }

    fn is_cut_off(&self) -> bool {
        false
    }
}

/// What a line gives, with so many keys on the node.
fn call_with(face: &Face, line: &str, protocol: Protocol, transport: Transport, key_count: usize) -> (Action, String) {
    let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
    write_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
    let arguments = parse_stored(&bytes, &mut ranges).unwrap();
    let mut reply = Reply::new(protocol);
    let spec = match commands::resolve(arguments) {
        Ok(spec) => spec,
        Err(error) => return (Action::Replied, format!("-{error}\r\n")),
    };
    let commands::Handler::Cluster(command) = spec.handler else { panic!("{line} is not the face's") };
    let offsets = BTreeMap::from([(node(1), 28), (node(4), 14)]);
    let traffic = Traffic { messages: vec![("ping", 3), ("meet", 0)], bytes: 99 };
    let facts = Facts { key_count, offsets: &offsets, traffic };
    let action = face.run(command, arguments, transport, &facts, &mut reply);
    (action, String::from_utf8(reply.into_bytes()).unwrap())
}

fn call(face: &Face, line: &str) -> (Action, String) {
    call_with(face, line, Protocol::Resp2, Transport::Plain, 0)
}

/// The reply to a line that needs nothing but one.
fn reply(face: &Face, line: &str) -> String {
    let (action, text) = call(face, line);
    assert_eq!(action, Action::Replied, "{line}");
    text
}

fn action(face: &Face, line: &str) -> Action {
    let (action, text) = call(face, line);
    assert_eq!(text, "", "{line}");
    action
}

/// A bulk string of these lines, each of which is ended by `end`.
fn bulk(lines: &[&str], end: &str) -> String {
    let text: String = lines.iter().map(|line| format!("{line}{end}")).collect();
    format!("${}\r\n{text}\r\n", text.len())
}

#[test]
fn nodes_are_lines_in_the_order_of_their_ids() {
    let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(name);
    let lines = [
        format!("{one} 127.0.0.1:7001@17001 myself,master - 0 0 0 connected 0-5460"),
        format!("{two} 127.0.0.1:7002@17002,two.example master - 0 1234 1 connected 5461-10922"),
        format!("{three} 127.0.0.1:7003@17003 master - 77 0 2 disconnected 10923-16383"),
        format!("{four} 127.0.0.1:7004@17004 slave {one} 0 1234 0 connected"),
        format!("{five} 127.0.0.1:7005@17005 slave {one} 0 1234 0 connected"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(reply(&face(1), "cluster nodes"), bulk(&lines, "\n"));
    let secure = call_with(&face(4), "cluster nodes", Protocol::Resp3, Transport::Tls, 0).1;
    assert!(secure.starts_with("=") && secure.contains("\r\ntxt:"));
    assert!(secure.contains(&format!("{two} 127.0.0.1:7502@17002,two.example master - 0 1234 1 connected")));
    assert!(secure.contains(&format!("{four} 127.0.0.1:7504@17004 myself,slave {one} 0 0 0 connected\n")));
    assert_eq!(
        reply(&alone(), "cluster nodes"),
        bulk(&[&format!("{one} 127.0.0.1:7001@17001 myself,master - 0 0 0 connected")], "\n")
    );
}

#[test]
fn marks_are_flags_of_others() {
    let mut overlay = Overlay::default();
    for (digit, mark) in [(1, Mark::Failed), (2, Mark::Suspected), (4, Mark::Failed)] {
        overlay.mark(node(digit), mark);
    }
    let face = face_of(&cluster(), &overlay, 1, PreferredEndpoint::Ip);
    let nodes = reply(&face, "cluster nodes");
    assert!(nodes.contains(" myself,master - ") && nodes.contains(" master,fail? - "));
    assert!(nodes.contains(&format!(" slave,fail {} ", name(1))));
    // Replicas that failed serve no reads.
    assert!(!reply(&face, "cluster slots").contains(":7004\r\n"));
    let shards = reply(&face, "cluster shards");
    assert_eq!(shards.matches("$4\r\nfail\r\n").count(), 2);
    let info = reply(&face, "cluster info");
    for line in ["state:fail", "slots_ok:5461", "slots_pfail:5462", "slots_fail:5461", "nodes_pfail:1", "nodes_fail:2"]
    {
        assert!(info.contains(&format!("cluster_{line}\r\n")), "{line} in {info}");
    }
}

/// A node as CLUSTER SLOTS has it, in RESP2.
fn slots_node(endpoint: &str, port: u16, digit: u8, more: &[&str]) -> String {
    let more_text: String = more.iter().map(|text| format!("${}\r\n{text}\r\n", text.len())).collect();
    format!("*4\r\n{endpoint}:{port}\r\n$40\r\n{}\r\n*{}\r\n{more_text}", name(digit), more.len())
}

#[test]
fn slots_are_ranges_with_who_serves_them() {
    let ip = "$9\r\n127.0.0.1\r\n";
    let expected = [
        "*3\r\n*4\r\n:0\r\n:5460\r\n".to_owned(),
        slots_node(ip, 7001, 1, &[]),
        // The fifth has no data yet.
        slots_node(ip, 7004, 4, &[]),
        "*3\r\n:5461\r\n:10922\r\n".to_owned(),
        slots_node(ip, 7002, 2, &["hostname", "two.example", "availability-zone", "zone-a"]),
        "*3\r\n:10923\r\n:16383\r\n".to_owned(),
        slots_node(ip, 7003, 3, &[]),
    ];
    assert_eq!(reply(&face(1), "cluster slots"), expected.concat());
    for digit in 2..=5 {
        assert_eq!(reply(&face(digit), "cluster slots"), expected.concat(), "every node says the same");
    }
    assert_eq!(reply(&alone(), "cluster slots"), "*0\r\n");
    let secure = call_with(&face(1), "cluster slots", Protocol::Resp3, Transport::Tls, 0).1;
    assert!(secure.contains("127.0.0.1\r\n:7501\r\n") && secure.contains("%2\r\n$8\r\nhostname\r\n"));
    assert!(!secure.contains(":7001\r\n"));
}

#[test]
fn clients_are_sent_to_the_preferred_endpoint() {
    let of = |endpoint| face_of(&cluster(), &Overlay::default(), 1, endpoint);
    let (hostname, unknown) = (of(PreferredEndpoint::Hostname), of(PreferredEndpoint::Unknown));
    let two = slots_node("$11\r\ntwo.example\r\n", 7002, 2, &["ip", "127.0.0.1", "availability-zone", "zone-a"]);
    let one = slots_node("$1\r\n?\r\n", 7001, 1, &["ip", "127.0.0.1"]);
    let slots = reply(&hostname, "cluster slots");
    assert!(slots.contains(&two) && slots.contains(&one));
    let more = ["ip", "127.0.0.1", "hostname", "two.example", "availability-zone", "zone-a"];
    let slots = reply(&unknown, "cluster slots");
    assert!(slots.contains(&slots_node("$-1\r\n", 7002, 2, &more)));
    let secure = call_with(&unknown, "cluster slots", Protocol::Resp3, Transport::Tls, 0).1;
    assert!(secure.contains("*4\r\n_\r\n:7502\r\n"));
    let slot = Slot::new(3999).unwrap();
    let moved = |face: &Face, transport, to| face.moved(slot, face.view().node(node(to)).unwrap(), transport);
    assert_eq!(moved(&of(PreferredEndpoint::Ip), Transport::Plain, 2), "MOVED 3999 127.0.0.1:7002");
    assert_eq!(moved(&of(PreferredEndpoint::Ip), Transport::Tls, 2), "MOVED 3999 127.0.0.1:7502");
    assert_eq!(moved(&hostname, Transport::Plain, 2), "MOVED 3999 two.example:7002");
    assert_eq!(moved(&hostname, Transport::Plain, 1), "MOVED 3999 ?:7001");
    assert_eq!(moved(&unknown, Transport::Plain, 2), "MOVED 3999 :7002");
    let to = unknown.view().node(node(2)).unwrap();
    assert_eq!(unknown.ask(slot, to, Transport::Plain), "ASK 3999 :7002");
}

#[test]
fn shards_are_maps_of_slots_and_nodes() {
    let shards = call_with(&face(1), "cluster shards", Protocol::Resp3, Transport::Plain, 0).1;
    let member = |digit: u8, role: &str, offset: u64, health: &str| {
        let (id, length, healthy) = (name(digit), role.len(), health.len());
        let ports = format!("$4\r\nport\r\n:700{digit}\r\n$8\r\ntls-port\r\n:750{digit}\r\n");
        let addresses = "$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n";
        let state = format!("$18\r\nreplication-offset\r\n:{offset}\r\n$6\r\nhealth\r\n${healthy}\r\n{health}\r\n");
        format!("%8\r\n$2\r\nid\r\n$40\r\n{id}\r\n{ports}{addresses}$4\r\nrole\r\n${length}\r\n{role}\r\n{state}")
    };
    let first = [
        "*3\r\n%3\r\n$5\r\nslots\r\n*2\r\n:0\r\n:5460\r\n$5\r\nnodes\r\n*3\r\n".to_owned(),
        member(1, "master", 28, "online"),
        member(4, "replica", 14, "online"),
        member(5, "replica", 0, "loading"),
        format!("$2\r\nid\r\n$40\r\n{:040x}\r\n", 1),
    ];
    assert!(shards.starts_with(&first.concat()), "{shards}");
    assert!(shards.contains("$8\r\nhostname\r\n$11\r\ntwo.example\r\n$4\r\nrole\r\n"));
    assert!(shards.contains("online\r\n$17\r\navailability-zone\r\n$6\r\nzone-a\r\n"));
}

#[test]
fn info_counts() {
    let lines = [
        "cluster_state:ok",
        "cluster_slots_assigned:16384",
        "cluster_slots_ok:16384",
        "cluster_slots_pfail:0",
        "cluster_slots_fail:0",
        "cluster_nodes_pfail:0",
        "cluster_nodes_fail:0",
        "cluster_voting_nodes_pfail:0",
        "cluster_voting_nodes_fail:0",
        "cluster_known_nodes:5",
        "cluster_size:3",
        "cluster_current_epoch:4",
        "cluster_my_epoch:1",
        "cluster_stats_messages_ping_sent:3",
        "cluster_stats_messages_sent:3",
        "cluster_stats_messages_ping_received:3",
        "cluster_stats_messages_received:3",
        "cluster_stats_bytes_sent:99",
        "cluster_stats_bytes_received:99",
        "cluster_stats_pubsub_bytes_sent:0",
        "cluster_stats_pubsub_bytes_received:0",
        "cluster_stats_module_bytes_sent:0",
        "cluster_stats_module_bytes_received:0",
        "total_cluster_links_buffer_limit_exceeded:0",
    ];
    assert_eq!(reply(&face(2), "cluster info"), bulk(&lines, "\r\n"));
    assert!(reply(&alone(), "cluster info").contains("cluster_state:fail\r\n"));
}

#[test]
fn a_cluster_need_not_be_covered_if_it_is_told_so() {
    let settings = Settings { full_coverage: false, ..*alone().settings() };
    let face = Face::new(alone().view().clone(), settings, BTreeMap::new());
    assert!(face.is_ok() && !alone().is_ok());
}

#[test]
fn small_questions() {
    let face = face(4);
    assert_eq!(reply(&face, "cluster myid"), format!("$40\r\n{}\r\n", name(4)));
    assert_eq!(reply(&face, "cluster myshardid"), format!("$40\r\n{:040x}\r\n", 1));
    assert_eq!(reply(&face, "cluster keyslot {a}b"), ":15495\r\n");
    assert_eq!(reply(&face, &format!("cluster replicas {}", name(2))), "*0\r\n");
    let replicas = reply(&face, &format!("cluster slaves {}", name(1)));
    assert!(replicas.starts_with("*2\r\n$131\r\n") && replicas.contains(" myself,slave "), "{replicas}");
    assert_eq!(reply(&face, &format!("cluster count-failure-reports {}", name(3))), ":2\r\n");
    assert!(
        reply(&face, "cluster help").contains("+CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n")
    );
    let mut bytes = Reply::new(Protocol::Resp2);
    let row = LinkRow {
        is_outgoing: true,
        node: node(2),
        created_ms: 5,
        is_sending: false,
        buffer_allocated_bytes: 48,
        buffer_used_bytes: 0,
    };
    write_links(&[row], &mut bytes);
    let text = String::from_utf8(bytes.into_bytes()).unwrap();
    assert!(text.starts_with("*1\r\n*12\r\n$9\r\ndirection\r\n$2\r\nto\r\n$4\r\nnode\r\n$40\r\n"));
    assert!(text.ends_with("$21\r\nsend-buffer-allocated\r\n:48\r\n$16\r\nsend-buffer-used\r\n:0\r\n"));
}

/// What valkey-server 9.1 answers in a cluster of its own.
#[test]
fn errors_of_a_node_alone() {
    let cases = [
        ("cluster countkeysinslot 99999", "Invalid slot"),
        ("cluster countkeysinslot x", "value is not an integer or out of range"),
        ("cluster getkeysinslot 1 -1", "Invalid slot or number of keys"),
        ("cluster getkeysinslot 99999 1", "Invalid slot or number of keys"),
        ("cluster getkeysinslot x 1", "value is not an integer or out of range"),
        ("cluster getkeysinslot 1 x", "value is not an integer or out of range"),
        ("cluster replicas abc", "Unknown node abc"),
        ("cluster addslots 99999", "Invalid or out of range slot"),
        ("cluster addslots a", "Invalid or out of range slot"),
        ("cluster addslots 1 1", "Slot 1 specified multiple times"),
        ("cluster addslotsrange 1", "wrong number of arguments for 'cluster|addslotsrange' command"),
        ("cluster addslotsrange 1 2 3", "wrong number of arguments for 'cluster|addslotsrange' command"),
        ("cluster delslotsrange 1 2 3", "wrong number of arguments for 'cluster|delslotsrange' command"),
        ("cluster addslotsrange 5 4", "start slot number 5 is greater than end slot number 4"),
        ("cluster addslotsrange 1 4 3 6", "Slot 3 specified multiple times"),
        ("cluster flushslots x", "wrong number of arguments for 'cluster|flushslots' command"),
        ("cluster set-config-epoch -1", "Invalid config epoch specified: -1"),
        ("cluster set-config-epoch x", "value is not an integer or out of range"),
        ("cluster meet 127.0.0.1 x", "Invalid base port specified: x"),
        ("cluster meet 127.0.0.1 1 x", "Invalid bus port specified: x"),
        ("cluster meet foo 1", "Invalid node address specified: foo:1"),
        ("cluster meet 127.0.0.1 0", "Port number is out of range"),
        ("cluster meet 127.0.0.1 -1", "Port number is out of range"),
        ("cluster meet 127.0.0.1 99999", "Port number is out of range"),
        ("cluster meet 127.0.0.1 60000", "Cluster bus port number is out of range"),
        ("cluster meet 127.0.0.1 100 99999", "Cluster bus port number is out of range"),
        ("cluster meet x 100 -1", "Cluster bus port number is out of range"),
        (
            "cluster meet 127.0.0.1 100 1 1",
            "unknown subcommand or wrong number of arguments for 'meet'. Try CLUSTER HELP.",
        ),
        ("cluster replicate abc", "Unknown node abc"),
        ("cluster replicate a b", "unknown subcommand or wrong number of arguments for 'replicate'. Try CLUSTER HELP."),
        ("cluster forget abc", "Unknown node abc"),
        ("cluster reset foo", "syntax error"),
        ("cluster reset hard x", "unknown subcommand or wrong number of arguments for 'reset'. Try CLUSTER HELP."),
        ("cluster failover", "You should send CLUSTER FAILOVER to a replica"),
        ("cluster failover force takeover", "You should send CLUSTER FAILOVER to a replica"),
        ("cluster failover abort", "syntax error"),
        ("cluster foo", "unknown subcommand 'foo'. Try CLUSTER HELP."),
        ("cluster slots x", "wrong number of arguments for 'cluster|slots' command"),
        ("cluster count-failure-reports abc", "Unknown node abc"),
    ];
    are_refused(&cases);
}

/// As above, of slots.
#[test]
fn errors_about_slots_of_a_node_alone() {
    let cases = [
        ("cluster setslot 99999 stable", "Invalid or out of range slot"),
        ("cluster setslot 1 node abc", "Unknown node abc"),
        ("cluster setslot 1 migrating abc", "I'm not the owner of hash slot 1"),
        ("cluster setslot 1 importing abc", "I don't know about node abc"),
        ("cluster delslots 1 1", "Slot 1 is already unassigned"),
        (
            "cluster Slot-Stats slotsrange 1",
            "unknown subcommand or wrong number of arguments for 'Slot-Stats'. Try CLUSTER HELP.",
        ),
        ("cluster setslot 1 foo bar", "Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"),
        (
            "cluster slot-stats slotsrange 1",
            "unknown subcommand or wrong number of arguments for 'slot-stats'. Try CLUSTER HELP.",
        ),
        ("cluster slot-stats slotsrange 1 99999", "Invalid or out of range slot"),
        ("cluster slot-stats slotsrange 5 4", "Start slot number 5 is greater than end slot number 4"),
        (
            "cluster slot-stats orderby key-count limit 0",
            "Limit has to lie in between 1 and 16384 (maximum number of slots).",
        ),
        (
            "cluster slot-stats orderby key-count limit x",
            "Limit has to lie in between 1 and 16384 (maximum number of slots).",
        ),
        ("cluster slot-stats orderby key-count limit", "syntax error"),
        ("cluster slot-stats orderby key-count foo", "syntax error"),
        ("cluster slot-stats orderby key-count limit 5 limit 6", "Multiple filters of the same type are disallowed."),
        ("cluster slot-stats orderby key-count asc desc", "Multiple filters of the same type are disallowed."),
        ("cluster slot-stats orderby cpu-usec", "Unrecognized sort metric for ORDERBY."),
    ];
    are_refused(&cases);
}

fn are_refused(cases: &[(&str, &str)]) {
    for (line, error) in cases {
        assert_eq!(reply(&alone(), line), format!("-ERR {error}\r\n"), "{line}");
    }
}

/// What it answers with others, of whom the first asks.
#[test]
fn errors_among_others() {
    let cases = [
        (1, "cluster replicas 4", "The specified node is not a master"),
        (1, "cluster replicas A", "Unknown node A"),
        (1, "cluster forget 1", "I tried hard but I can't forget myself..."),
        (4, "cluster forget 1", "Can't forget my master!"),
        (1, "cluster replicate 1", "Can't replicate myself"),
        (1, "cluster replicate 4", "I can only replicate a master, not a replica."),
        (1, "cluster replicate 2", "To set a master the node must be empty and without assigned slots."),
        (
            4,
            "cluster replicate no one",
            "CLUSTER REPLICATE NO ONE is not there yet: use CLUSTER RESET and CLUSTER MEET",
        ),
        (1, "cluster setslot 1 node 2", "CLUSTER SETSLOT NODE is not there yet: slots cannot be moved between shards"),
        (
            1,
            "cluster setslot 1 migrating 2",
            "CLUSTER SETSLOT MIGRATING is not there yet: slots cannot be moved between shards",
        ),
        (
            2,
            "cluster setslot 1 importing 1",
            "CLUSTER SETSLOT IMPORTING is not there yet: slots cannot be moved between shards",
        ),
        (1, "cluster setslot 1 importing 2", "I'm already the owner of hash slot 1"),
        (2, "cluster setslot 1 importing 4", "Target node is not a master"),
        (2, "cluster setslot 1 migrating 1", "I'm not the owner of hash slot 1"),
        (1, "cluster setslot 1 migrating 1", "Target node is myself"),
        (1, "cluster setslot 1 migrating 4", "Target node is not a master"),
        (1, "cluster setslot 1 node 4", "Target node is not a master"),
        (4, "cluster setslot 1 node 1", "Please use SETSLOT only with masters."),
        (1, "cluster addslots 16000 16000", "Slot 16000 is already busy"),
        (1, "cluster addslotsrange 16000 16001 16001 16002", "Slot 16000 is already busy"),
        (1, "cluster delslots 10 10", "Slot 10 specified multiple times"),
    ];
    for (myself, line, error) in cases {
        // A digit or letter at the end stands for a node's id.
        let (start, last) = line.rsplit_once(' ').unwrap();
        let line = if last.len() == 1 { format!("{start} {}", last.repeat(40)) } else { line.to_owned() };
        let error = error.replace("node A", &format!("node {}", "A".repeat(40)));
        assert_eq!(reply(&face(myself), &line), format!("-ERR {error}\r\n"), "{line}");
    }
    let mut overlay = Overlay::default();
    overlay.mark(node(1), Mark::Failed);
    let replica = face_of(&cluster(), &overlay, 4, PreferredEndpoint::Ip);
    let error = "-ERR Master is down or failed, please use CLUSTER FAILOVER FORCE\r\n";
    assert_eq!(reply(&replica, "cluster failover"), error);
}

#[test]
fn keys_are_not_lost_by_accident() {
    let with_keys = |myself, line: &str| call_with(&face(myself), line, Protocol::Resp2, Transport::Plain, 1);
    let refused = |text: &str| (Action::Replied, format!("-ERR {text}\r\n"));
    assert_eq!(with_keys(1, "cluster flushslots"), refused("DB must be empty to perform CLUSTER FLUSHSLOTS."));
    let reset = "CLUSTER RESET can't be called with master nodes containing keys";
    assert_eq!(with_keys(1, "cluster reset"), refused(reset));
    assert_eq!(with_keys(4, "cluster reset hard"), (Action::Reset { hard: true }, String::new()));
    let replicate = format!("cluster replicate {}", name(2));
    assert_eq!(with_keys(4, &replicate), (Action::Replicate { shard: ShardId(2) }, String::new()));
    let empty = call_with(&alone(), "cluster flushslots", Protocol::Resp2, Transport::Plain, 0).0;
    assert_eq!(empty, Action::Propose { changes: vec![Change::FlushSlots { node: node(1) }], answer: Answer::Ok });
}

#[test]
fn actions() {
    let face = face(1);
    let propose = |change| Action::Propose { changes: vec![change], answer: Answer::Ok };
    let slots = "1-3 7".parse().unwrap();
    assert_eq!(action(&face, "cluster addslots 1 7 3 2"), propose(Change::AddSlots { node: node(1), slots }));
    let slots = "1-3 7".parse().unwrap();
    assert_eq!(action(&face, "cluster delslotsrange 1 3 7 7"), propose(Change::DelSlots { node: node(1), slots }));
    assert_eq!(
        action(&face, "cluster set-config-epoch 5"),
        propose(Change::SetConfigEpoch { node: node(1), epoch: 5 })
    );
    let forget = format!("cluster forget {}", name(9));
    assert_eq!(action(&face, &forget), propose(Change::Forget { node: node(9) }), "the topology may remember it");
    let meet = |ip: &str, peer_port| Action::Meet { ip: ip.to_owned(), port: 7000, peer_port };
    assert_eq!(action(&face, "cluster meet 127.0.0.1 7000"), meet("127.0.0.1", 17000));
    assert_eq!(action(&face, "cluster meet ::1 7000 9"), meet("::1", 9));
    assert_eq!(action(&face, "cluster getkeysinslot 5 10"), Action::KeysInSlot(Slot::new(5).unwrap(), 10));
    assert_eq!(action(&face, "cluster countkeysinslot 5"), Action::CountKeysInSlot(Slot::new(5).unwrap()));
    assert_eq!(action(&face, "cluster reset soft"), Action::Reset { hard: false });
    assert_eq!(action(&face, "asking"), Action::Asking);
    let replica = face_of(&cluster(), &Overlay::default(), 4, PreferredEndpoint::Ip);
    assert_eq!(action(&replica, "cluster failover"), Action::Failover(FailoverMode::HandOver));
    assert_eq!(action(&replica, "cluster failover FORCE"), Action::Failover(FailoverMode::Force));
    assert_eq!(action(&replica, "cluster failover takeover"), Action::Failover(FailoverMode::Takeover));
    assert_eq!(reply(&replica, &format!("cluster replicate {}", name(1))), "+OK\r\n", "it is so already");
    assert_eq!(reply(&face, "cluster setslot 1 stable"), "+OK\r\n");
    assert_eq!(reply(&face, &format!("cluster setslot 1 node {}", name(1))), "+OK\r\n");
    assert_eq!(reply(&face, "cluster replicate no one"), "+OK\r\n");
}

#[test]
fn slot_stats_are_of_the_own_shard() {
    let keys = |slot: Slot| u64::from(slot.number() % 3);
    let written = |stats: Action| {
        let Action::SlotStats(stats) = stats else { panic!("{stats:?}") };
        let mut reply = Reply::new(Protocol::Resp2);
        stats.write(keys, &mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    };
    let row = |slot: u16, keys: u64| format!("*2\r\n:{slot}\r\n*2\r\n$9\r\nkey-count\r\n:{keys}\r\n");
    let replica = face(4);
    let range = written(action(&replica, "cluster slot-stats slotsrange 5459 9000"));
    assert_eq!(range, ["*2\r\n".to_owned(), row(5459, 2), row(5460, 0)].concat());
    let most = written(action(&replica, "cluster slot-stats orderby key-count limit 2"));
    assert_eq!(most, ["*2\r\n".to_owned(), row(2, 2), row(5, 2)].concat());
    let least = written(action(&replica, "cluster slot-stats orderby key-count asc limit 1"));
    assert_eq!(least, ["*1\r\n".to_owned(), row(0, 0)].concat());
    assert_eq!(written(action(&alone(), "cluster slot-stats slotsrange 0 1")), "*0\r\n");
}

#[test]
fn outcomes_are_answered_in_words_of_redis() {
    let answered = |answer: Answer, result| {
        let mut reply = Reply::new(Protocol::Resp2);
        answer.write(result, &mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    };
    assert_eq!(answered(Answer::Ok, Ok(&[Outcome::Changed])), "+OK\r\n");
    assert_eq!(answered(Answer::Epoch, Ok(&[Outcome::Bumped(7)])), "+BUMPED 7\r\n");
    assert_eq!(answered(Answer::Epoch, Ok(&[Outcome::Still(7)])), "+STILL 7\r\n");
    let slot = Slot::new(5).unwrap();
    let cases = [
        (Refusal::SlotBusy(slot), "Slot 5 is already busy"),
        (Refusal::SlotUnassigned(slot), "Slot 5 is already unassigned"),
        (Refusal::EpochIsSet, "Node config epoch is already non-zero"),
        (Refusal::NotAlone, "The user can assign a config epoch only when the node does not know any other node."),
        (Refusal::OwnsSlots, "To set a master the node must be empty and without assigned slots."),
    ];
    for (refusal, text) in cases {
        assert_eq!(answered(Answer::Ok, Err(refusal)), format!("-ERR {text}\r\n"));
    }
    let unknown = Refusal::UnknownNode(node(9));
    assert_eq!(answered(Answer::Ok, Err(unknown)), format!("-ERR Unknown node {}\r\n", name(9)));
}

/// Replies are the same bytes on every node, but for `myself`, pings and links.
#[test]
fn every_node_says_the_same() {
    let said = |myself, line: &str| {
        let settings = Settings { myself: node(myself), endpoint: PreferredEndpoint::Ip, full_coverage: true };
        let view = View::new(&cluster(), &Overlay::default());
        let up = Link { is_up: true, ..Link::default() };
        let links = cluster().nodes().keys().map(|&node| (node, up)).collect();
        reply(&Face::new(Arc::new(view), settings, links), line).replace("myself,", "")
    };
    for line in ["cluster slots", "cluster shards"] {
        for myself in 2..=5 {
            assert_eq!(said(myself, line), said(1, line), "{line}");
        }
    }
    for myself in 2..=5 {
        assert_eq!(said(myself, "cluster nodes"), said(1, "cluster nodes"));
    }
}

#[test]
fn a_node_in_no_cluster_says_so() {
    let answer = |command, line: &str| {
        let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
        write_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
        let mut reply = Reply::new(Protocol::Resp2);
        disabled(command, parse_stored(&bytes, &mut ranges).unwrap(), &mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    };
    let error = "-ERR This instance has cluster support disabled\r\n";
    assert_eq!(answer(ClusterCommand::Info, "cluster info"), error);
    assert_eq!(answer(ClusterCommand::Asking, "asking"), error);
    assert_eq!(answer(ClusterCommand::KeySlot, "cluster keyslot a"), ":15495\r\n");
}

#[test]
fn role_and_replication_follow_the_view() {
    let offsets = BTreeMap::from([(node(1), 28), (node(4), 14)]);
    let traffic = Traffic::default();
    let facts = Facts { key_count: 0, offsets: &offsets, traffic };
    let role = |face: &Face| {
        let mut reply = Reply::new(Protocol::Resp2);
        face.role(Transport::Plain, &facts, &mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    };
    let one = "*3\r\n$6\r\nmaster\r\n:28\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n7004\r\n$2\r\n14\r\n";
    assert_eq!(role(&face(1)), one);
    assert_eq!(role(&face(4)), "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7001\r\n$9\r\nconnected\r\n:14\r\n");
    let lines = face(1).replication_lines(Transport::Plain, &facts);
    assert!(lines.starts_with(
        "role:master\r\nconnected_slaves:1\r\nslave0:ip=127.0.0.1,port=7004,state=online,offset=14,lag=0"
    ));
    let lines = face(4).replication_lines(Transport::Tls, &facts);
    assert!(lines.starts_with("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7501\r\nmaster_link_status:up\r\n"));
}

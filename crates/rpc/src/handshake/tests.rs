use std::time::Duration;

use raft::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[derive(Clone)]
struct Wall(u64);

impl Clock for Wall {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn wall_ms(&self) -> u64 {
        self.0
    }
}

fn config(node: u8, secret: &str) -> RpcConfig {
    RpcConfig::new(NodeId([node; 20]), secret.to_owned(), (250, 500), 1, Wall(1000 * u64::from(node)))
}

async fn shake(dialer: &RpcConfig, listener: &RpcConfig) -> [Result<Proved, HandshakeError>; 2] {
    let (mut a, mut b) = duplex(4096);
    let accepting = async {
        let accepted = accept(&mut b, LOOPBACK, listener).await;
        drop(b); // as the caller does; a dialer that still waits sees the end
        accepted
    };
    let (dialed, accepted) = tokio::join!(dial(&mut a, dialer), accepting);
    [dialed, accepted]
}

#[tokio::test]
async fn both_ends_learn_node_and_clock() {
    for secret in ["", "s3cret"] {
        let [dialed, accepted] = shake(&config(1, secret), &config(2, secret)).await;
        assert_eq!(dialed.unwrap(), Proved { node: NodeId([2; 20]), wall_ms: 2000 });
        assert_eq!(accepted.unwrap(), Proved { node: NodeId([1; 20]), wall_ms: 1000 });
    }
}

#[tokio::test]
async fn another_secret_is_refused_and_both_say_so() {
    for (one, other) in [("right", "wrong"), ("", "set"), ("set", "")] {
        let [dialed, accepted] = shake(&config(1, one), &config(2, other)).await;
        assert!(dialed.unwrap_err().to_string().contains("masterauth differs"));
        assert!(accepted.unwrap_err().to_string().contains("masterauth differs"));
    }
}

#[tokio::test]
async fn other_terms_are_refused_and_both_say_which() {
    let mut other = config(2, "s");
    other.election_timeout_ms = (300, 600);
    let [dialed, accepted] = shake(&config(1, "s"), &other).await;
    assert!(dialed.unwrap_err().to_string().contains("election-timeout-ms 250 500 there, 300 600 here"));
    assert!(accepted.unwrap_err().to_string().contains("election-timeout-ms"));

    let mut other = config(2, "s");
    other.feature_level = 2;
    let [dialed, accepted] = shake(&config(1, "s"), &other).await;
    assert!(dialed.unwrap_err().to_string().contains("feature level 1 there, 2 here"));
    assert!(accepted.unwrap_err().to_string().contains("feature level"));
}

#[tokio::test]
async fn another_version_is_refused_by_its_number() {
    let (mut a, mut b) = duplex(4096);
    let hello = [&MAGIC[..], &[VERSION + 1], b"whatever that version says"].concat();
    write_frame(&mut a, &[&hello]).await.unwrap();
    let refused = accept(&mut b, LOOPBACK, &config(2, "s")).await.unwrap_err();
    let newer = VERSION + 1;
    assert!(refused.to_string().contains(&format!("peer protocol {newer} there, {VERSION} here")), "{refused}");
    assert!(reason(&mut a).await.contains(&format!("peer protocol {newer} there")));
}

/// The reason that a listener sent before it closed.
async fn reason(dialer: &mut DuplexStream) -> String {
    let mut buffer = [0; FRAME_BYTES_MAX];
    match granted::<0>(read_frame(dialer, &mut buffer).await.unwrap()) {
        Err(HandshakeError::RefusedByPeer(why)) => why,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// A listener's own proof, or a dialer's, played back to its maker proves nothing.
#[tokio::test]
async fn a_reflected_handshake_is_refused() {
    // An attacker between a dialer and itself: it echoes the nonce, and the dialer's terms and proof.
    let (mut a, mut b) = duplex(4096);
    let config = config(1, "s");
    let attack = async {
        let mut buffer = [0; FRAME_BYTES_MAX];
        let (_, nonce) = parse_hello(read_frame(&mut b, &mut buffer).await.unwrap()).unwrap();
        write_frame(&mut b, &[&[1, VERSION], &nonce]).await.unwrap();
        let claim = read_frame(&mut b, &mut buffer).await.unwrap().to_vec();
        write_frame(&mut b, &[&[1], &claim]).await.unwrap();
    };
    let (dialed, ()) = tokio::join!(dial(&mut a, &config), attack);
    assert!(matches!(dialed, Err(HandshakeError::Refused(why)) if why == WRONG_SECRET));
}

#[tokio::test]
async fn without_a_secret_only_loopback_is_a_peer() {
    let (any, v4, v6, mapped) = ("10.1.2.3", "127.0.0.1", "::1", "::ffff:127.0.0.2");
    for (secret, address, admitted) in
        [("", any, false), ("", v4, true), ("", v6, true), ("", mapped, true), ("s", any, true)]
    {
        assert_eq!(admits(secret, address.parse().unwrap()).is_ok(), admitted, "{secret:?} {address}");
    }
    // The refusal comes before the listener says anything of itself.
    let (mut a, mut b) = duplex(4096);
    let hello = [&MAGIC[..], &[VERSION], &[7; NONCE_BYTES]].concat();
    write_frame(&mut a, &[&hello]).await.unwrap();
    let refused = accept(&mut b, any.parse().unwrap(), &config(2, "")).await.unwrap_err();
    assert!(refused.to_string().contains("masterauth"));
    assert!(reason(&mut a).await.contains("masterauth"));
}

#[tokio::test]
async fn garbage_is_refused() {
    let inputs: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", &[0, 0], &[0xff; 3000], &[0, 4, 1, 2, 3, 4]];
    for input in inputs {
        let (mut a, mut b) = duplex(4096);
        a.write_all(input).await.unwrap();
        let refused = accept(&mut b, LOOPBACK, &config(2, "s")).await.unwrap_err();
        assert!(matches!(refused, HandshakeError::Refused(_)), "{refused:?}");
        drop(b);
        let mut answer = Vec::new();
        a.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() <= 2 + 1 + REASON_BYTES_MAX);
    }
}

#[tokio::test]
async fn an_oversize_frame_is_refused_before_it_is_read() {
    let (mut a, mut b) = duplex(4096);
    a.write_all(&u16::to_be_bytes(1025)).await.unwrap(); // and not one byte of it
    let refused = accept(&mut b, LOOPBACK, &config(2, "s")).await.unwrap_err();
    assert!(refused.to_string().contains("1 KiB"));
}

/// One byte a second is not a handshake: the deadline around it strikes, whatever trickles in.
#[tokio::test(start_paused = true)]
async fn a_slow_handshake_meets_its_deadline() {
    let (mut a, mut b) = duplex(4096);
    let config = config(2, "s");
    let trickle = async {
        for byte in [0, 42].into_iter().chain(*MAGIC) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            a.write_all(&[byte]).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let accepting = tokio::time::timeout(Duration::from_secs(5), accept(&mut b, LOOPBACK, &config));
    tokio::select! {
        () = trickle => unreachable!("it never ends"),
        accepted = accepting => assert!(accepted.is_err()),
    }
}

/// What a connection makes this process hold before it has authenticated: the future with its frame buffer.
#[tokio::test]
async fn a_handshake_holds_little() {
    let (mut stream, config) = (tokio::io::empty(), config(1, "s"));
    let held = size_of_val(&accept(&mut stream, LOOPBACK, &config));
    assert!(held < 16 * 1024, "{held} bytes");
}

use std::task::Waker;

use super::*;
use raft::{Clock, NodeId};

#[derive(Clone)]
struct Wall;

impl Clock for Wall {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn wall_ms(&self) -> u64 {
        77
    }
}

const SOON: Duration = Duration::from_millis(100);

fn config() -> Arc<RpcConfig> {
    Arc::new(RpcConfig::new(NodeId([1; 20]), String::new(), (250, 500), 1, Wall))
}

fn link(bounds: ClassLimits) -> Arc<Link> {
    let to = PeerAddress { node: NodeId([2; 20]), address: "127.0.0.1:1".to_owned() };
    let limits = Limits { control: bounds, ..Limits::default() };
    Arc::new(Link::new(to, Class::Control, &limits))
}

fn wide() -> ClassLimits {
    Limits::default().control
}

/// What the writer would send now, as (id, payload).
fn sent(writer: &mut Writer) -> Vec<(u64, Bytes)> {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(message)) = Pin::new(writer).poll_next(&mut context) else { return Vec::new() };
    let (wall_ms, mut frames) = Frames::open(message, Kind::Request).unwrap();
    assert_eq!(wall_ms, 77);
    std::iter::from_fn(|| frames.next(&mut assembly()).unwrap()).collect()
}

fn assembly() -> Assembly {
    Assembly::new(usize::MAX)
}

fn answers(of: &[(u64, &'static [u8])]) -> Message {
    let mut packer = Packer::new(Kind::Answer);
    of.iter().for_each(|(id, payload)| packer.push(*id, Bytes::from_static(payload).into()));
    packer.take(|| 5).unwrap()
}

fn ask(link: &Link, message: &'static [u8]) -> Answer {
    link.request(Bytes::from_static(message).into(), SOON).unwrap()
}

fn outcome(answer: &mut Answer) -> Option<Result<Bytes, TransportError>> {
    answer.try_recv().ok()
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_leaves_in_one_message_in_order() {
    let link = link(wide());
    let mut writer = link.writer(&config());
    assert!(sent(&mut writer).is_empty());
    let (mut one, mut two) = (ask(&link, b"one"), ask(&link, b"two"));
    let frames = sent(&mut writer);
    assert_eq!(frames, [(0, Bytes::from("one")), (1, Bytes::from("two"))]);
    assert_eq!(link.take_answers(answers(&[(1, b"2"), (9, b"of nobody"), (0, b"1")]), &mut assembly()), Ok(5));
    assert_eq!(outcome(&mut one), Some(Ok(Bytes::from("1"))));
    assert_eq!(outcome(&mut two), Some(Ok(Bytes::from("2"))));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_and_count() {
    let narrow = link(ClassLimits { requests_max: 3, bytes_max: 10 });
    let mut writer = narrow.writer(&config());
    let _large = ask(&narrow, b"larger than the bound, but alone");
    let full = narrow.request(Bytes::from_static(b"x").into(), SOON);
    assert!(matches!(full, Err(NotTaken::Unreachable(why)) if why.contains("full")));
    assert_eq!(sent(&mut writer).len(), 1);
    let _two_more = (ask(&narrow, b"12345"), ask(&narrow, b"12345"));
    // Sent or not, three wait for answers.
    assert_eq!(sent(&mut writer).len(), 2);
    assert!(matches!(narrow.request(Pieces::default(), SOON), Err(NotTaken::Unreachable(_))));
    narrow.take_answers(answers(&[(0, b"")]), &mut assembly()).unwrap();
    assert!(narrow.request(Pieces::default(), SOON).is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_sweep_meets_all_deadlines() {
    let link = link(wide());
    let mut writer = link.writer(&config());
    let (mut sent_one, start) = (ask(&link, b"sent"), Instant::now());
    assert_eq!(sent(&mut writer).len(), 1);
    let mut queued = ask(&link, b"queued");
    let mut later = link.request(Bytes::from_static(b"later").into(), 3 * SOON).unwrap();
    assert_eq!(link.sweep(start), Next::SweepAt(start + SOON));
    assert_eq!(link.sweep(start + SOON), Next::SweepAt(start + 3 * SOON));
    assert_eq!(outcome(&mut sent_one), Some(Err(TransportError::Lost)));
    assert!(matches!(outcome(&mut queued), Some(Err(TransportError::Unreachable(_)))), "it was never sent");
    assert_eq!(outcome(&mut later), None);
    // The one past its deadline is not sent any more, and a late answer meets nobody.
    assert_eq!(sent(&mut writer), [(2, Bytes::from("later"))]);
    link.take_answers(answers(&[(0, b"late")]), &mut assembly()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_break_loses_what_was_sent_and_keeps_what_was_not() {
    let link = link(wide());
    let mut writer = link.writer(&config());
    let mut lost = ask(&link, b"lost");
    assert_eq!(sent(&mut writer).len(), 1);
    let mut kept = ask(&link, b"kept");
    link.disconnected();
    assert_eq!(outcome(&mut lost), Some(Err(TransportError::Lost)));
    assert_eq!(outcome(&mut kept), None);
    let mut next = link.writer(&config());
    assert!(sent(&mut writer).is_empty(), "the earlier connection's writer sends nothing any more");
    assert_eq!(sent(&mut next), [(1, Bytes::from("kept"))]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_refuses_until_one_succeeds() {
    let link = link(wide());
    let mut queued = ask(&link, b"queued");
    link.down("connection refused");
    let refused = Some(Err(TransportError::Unreachable("connection refused".to_owned())));
    assert_eq!(outcome(&mut queued), refused);
    let at_once = link.request(Pieces::default(), SOON);
    assert!(matches!(at_once, Err(NotTaken::Unreachable(why)) if why == "connection refused"));
    link.connected(NodeId([2; 20]), 0);
    assert!(link.request(Pieces::default(), SOON).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_ends_but_not_under_a_request() {
    let link = link(wide());
    let start = Instant::now();
    let idle_max = Limits::default().idle_max;
    let _waiting = link.request(Pieces::default(), 2 * idle_max).unwrap();
    assert_ne!(link.sweep(start + idle_max), Next::End);
    assert_eq!(link.sweep(start + 2 * idle_max), Next::End);
    assert!(matches!(link.request(Pieces::default(), SOON), Err(NotTaken::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_closing_link_takes_nothing_and_ends_with_its_last_answer() {
    let link = link(wide());
    let mut writer = link.writer(&config());
    let _waiting = ask(&link, b"x");
    link.close();
    assert!(matches!(link.request(Pieces::default(), SOON), Err(NotTaken::Unreachable(_))));
    assert_ne!(link.sweep(Instant::now()), Next::End);
    assert_eq!(sent(&mut writer).len(), 1, "what was taken is still sent");
    link.take_answers(answers(&[(0, b"")]), &mut assembly()).unwrap();
    assert!(link.is_finished());
    assert_eq!(link.sweep(Instant::now()), Next::End);
}

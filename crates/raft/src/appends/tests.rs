//! The adapter alone: openraft's side is a channel of requests, the follower's a list of questions to answer.

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{advance, pause};

use super::*;
use crate::entry::{Body, Entry};
use crate::ids::{GroupId, LogId};
use crate::log::Log;
use crate::machine::Refusal;
use crate::memory::MemoryLogStore;
use crate::types::raft_log_id;

struct Nobody;

impl Waiter for Nobody {
    fn committed(&mut self, _: LogId) {}
    fn refused(self, _: Refusal) {}
}

type Request = AppendEntriesRequest<Types<Nobody>>;
type Asked = (Option<u64>, usize, oneshot::Sender<Answer<Nobody>>);

fn id(index: u64) -> RaftLogId {
    raft_log_id(LogId { term: 1, index })
}

/// What openraft asks for: the entries behind `previous` up to `last`.
fn request(previous: u64, last: u64) -> Request {
    let entries = (previous + 1..=last).map(|index| Entry { id: id(index), body: Body(Bytes::from_static(b"x")) });
    let leader_commit = Some(id(previous));
    let vote = crate::types::RaftVote::new_committed(1, 1);
    AppendEntriesRequest { vote, prev_log_id: Some(id(previous)), entries: entries.collect(), leader_commit }
}

struct Bench {
    log: Arc<LogState<Nobody>>,
    requests: mpsc::Sender<Request>,
    asked: mpsc::Receiver<Asked>,
    answers: Pin<Box<dyn Stream<Item = Answer<Nobody>> + Send>>,
}

impl Bench {
    async fn new() -> Self {
        pause();
        let log = Log::<_, Nobody>::open(MemoryLogStore::new(), GroupId(1), 1 << 20).await.unwrap();
        let log = log.state().clone();
        let (requests, mut queue) = mpsc::channel(8);
        let input = futures_util::stream::poll_fn(move |context| queue.poll_recv(context));
        let (ask, asked) = mpsc::channel(64);
        let send = move |request: &Request| {
            let (answer, answered) = oneshot::channel();
            let question = (last(request).map(|last| last.index()), request.entries.len(), answer);
            assert!(ask.try_send(question).is_ok(), "few are asked");
            async move { answered.await.unwrap() }
        };
        let answers = Box::pin(Appends::new(input, log.clone(), send));
        Self { log, requests, asked, answers }
    }

    /// openraft has something for the follower.
    fn wants(&self, request: Request) {
        if let Some(last) = request.entries.last() {
            self.log.set_last(LogId { term: 1, index: last.id.index() });
        }
        assert!(self.requests.try_send(request).is_ok(), "few are wanted");
    }

    /// The answers that are there now.
    fn heard(&mut self) -> Vec<Option<u64>> {
        let mut heard = Vec::new();
        while let Some(answer) = self.answers.next().now_or_never() {
            let answer = answer.expect("the stream goes on").unwrap();
            heard.push(answer.unwrap_or(None).map(|id| id.index()));
        }
        heard
    }

    /// What the follower was asked since the last call: the last index and the number of entries of each request.
    fn asked(&mut self) -> Vec<Asked> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }

    /// Has exactly one request sent, and returns what answers it.
    fn one(&mut self, last: u64, entries: usize) -> oneshot::Sender<Answer<Nobody>> {
        assert!(self.heard().is_empty());
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1);
        let (found, count, answer) = asked.remove(0);
        assert_eq!((found, count), (Some(last), entries));
        answer
    }
}

fn accept(answer: oneshot::Sender<Answer<Nobody>>, index: u64) {
    assert!(answer.send(Ok(Ok(Some(id(index))))).is_ok(), "the answer is waited for");
}

#[tokio::test]
async fn a_notice_waits_for_the_entry_behind_it() {
    let mut bench = Bench::new().await;
    bench.wants(request(4, 5));
    accept(bench.one(5, 1), 5);
    assert_eq!(bench.heard(), [Some(5)]);
    // A commit and an entry: openraft has one request for both by the time it is asked.
    advance(NOTICE_PATIENCE / 2).await;
    assert!(bench.heard().is_empty() && bench.asked().is_empty());
    bench.wants(request(5, 6));
    accept(bench.one(6, 1), 6);
    assert_eq!(bench.heard(), [Some(6)]);
}

#[tokio::test]
async fn a_notice_goes_alone_after_a_while() {
    let mut bench = Bench::new().await;
    bench.wants(request(4, 5));
    accept(bench.one(5, 1), 5);
    assert_eq!(bench.heard(), [Some(5)]);
    bench.wants(request(5, 5));
    assert!(bench.heard().is_empty() && bench.asked().is_empty());
    advance(NOTICE_PATIENCE + Duration::from_millis(1)).await;
    accept(bench.one(5, 0), 5);
    assert_eq!(bench.heard(), [Some(5)]);
}

#[tokio::test]
async fn a_notice_waits_for_the_answers_under_way() {
    let mut bench = Bench::new().await;
    bench.wants(request(4, 5));
    let entry = bench.one(5, 1);
    bench.wants(request(5, 5));
    assert!(bench.heard().is_empty());
    advance(NOTICE_PATIENCE * 3).await;
    assert!(bench.heard().is_empty() && bench.asked().is_empty());
    accept(entry, 5);
    assert_eq!(bench.heard(), [Some(5)]);
    assert_eq!(bench.asked().len(), 1);
}

/// What is there at once is sent at once, but the answer to the entry says nothing about the notice behind it.
#[tokio::test]
async fn an_answer_does_not_count_for_a_notice_behind_it() {
    let mut bench = Bench::new().await;
    bench.wants(request(4, 5));
    bench.wants(request(5, 5));
    assert!(bench.heard().is_empty());
    let mut asked = bench.asked();
    assert_eq!(asked.len(), 2);
    let (_, _, notice) = asked.pop().unwrap();
    let (_, _, entry) = asked.pop().unwrap();
    accept(entry, 5);
    assert!(bench.heard().is_empty());
    accept(notice, 5);
    assert_eq!(bench.heard(), [Some(5)]);
}

#[tokio::test]
async fn the_first_trouble_is_the_end() {
    let mut bench = Bench::new().await;
    bench.wants(request(4, 5));
    let first = bench.one(5, 1);
    bench.wants(request(5, 6));
    let _second = bench.one(6, 1);
    let conflict = openraft::raft::StreamAppendError::Conflict(id(4));
    assert!(first.send(Ok(Err(conflict))).is_ok());
    assert!(matches!(bench.answers.next().await, Some(Ok(Err(_)))));
    assert!(bench.answers.next().await.is_none());
}

//! What `raft` relies on.

use raft::conformance::{StoreFactory, check_log_store};

use super::*;

/// Stores in directories of their own; the newest directory is the one that is reopened.
struct Factory {
    withhold: Option<Duration>,
    dirs: Vec<TestDir>,
}

impl Factory {
    fn open(&self) -> Store {
        let options = self.dirs.last().unwrap().options();
        open(&Options { withhold: self.withhold, ..options }).unwrap().store
    }
}

impl StoreFactory for Factory {
    type Store = Store;

    fn fresh(&mut self) -> Store {
        self.dirs.push(TestDir::new());
        self.open()
    }

    fn reopen(&mut self, store: Store) -> Store {
        store.close();
        drop(store);
        self.open()
    }
}

#[test]
fn the_store_conforms() {
    block_on(check_log_store(&mut Factory { withhold: None, dirs: Vec::new() }));
}

#[test]
fn the_store_that_withholds_conforms() {
    block_on(check_log_store(&mut Factory { withhold: Some(Duration::from_millis(2)), dirs: Vec::new() }));
}

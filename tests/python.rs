//! redis-py, with both protocols: the scripts of `tests/python`, each against a server of its own.

use crate::harness::Server;
use crate::harness::tools::run_python;

#[test]
fn redis_py_works_with_both_protocols() {
    let server = Server::start(&[]);
    for protocol in ["2", "3"] {
        run_python("client.py", server.port, &[protocol]);
    }
}

#[test]
fn redis_py_logs_in() {
    let server = Server::start_with_password("open sesame".replace(' ', "-").as_str(), &[]);
    for protocol in ["2", "3"] {
        run_python("login.py", server.port, &[protocol, "open-sesame"]);
    }
}

#[test]
fn the_patterns_of_courses_about_redis_work() {
    let server = Server::start(&[]);
    run_python("patterns.py", server.port, &[]);
}

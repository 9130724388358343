//! Ten thousand idle sockets: the server's memory stays bounded and everybody else is served.

use futures_util::StreamExt;
use futures_util::stream::iter;
use hiroba_testkit::frames::{RawSocket, TEXT, frame};
use hiroba_testkit::limits::{many_files, memory_kib, raise_open_files};
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Database, eventually, on_both_engines};
use tokio::task::block_in_place;

/// Sockets, when so many files may be open.
const SOCKETS: u64 = 10_000;
/// Files that this process needs for everything else.
const OTHER_FILES: u64 = 2000;
/// Sockets that are opened at once.
const AT_ONCE: usize = 64;
/// Resident memory of the server at most.
const MEMORY_MAX_KIB: u64 = 400 << 10;

async fn ten_thousand_sockets(database: Database) {
    let _turn = many_files().await;
    let count = SOCKETS.min(raise_open_files().saturating_sub(OTHER_FILES));
    let server = block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), &database, "data").start());
    let api = server.api().await;
    api.create_namespace("ns").await;
    let before = memory_kib(server.pid(), "VmRSS");
    let address = server.address();
    let open = iter(0..count).map(|_| tokio::spawn(RawSocket::open(address)));
    let mut sockets: Vec<RawSocket> = open.buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await;
    let all = async || (api.metric("hiroba_sockets").await == count as f64).then_some(());
    eventually("the sockets to be counted", all).await;
    let resident = memory_kib(server.pid(), "VmRSS");
    println!("{count} sockets: {} KiB resident, {before} KiB without", resident);
    assert!(resident < MEMORY_MAX_KIB, "{resident} KiB");

    // A newcomer is served, and so are those who waited.
    api.mutexes("ns", "alice").lock("p", "t").await.item();
    let call = r#"{"x_gs2":{"service":"lock","component":"nothing","function":"nothing","requestId":"7"}}"#;
    for socket in sockets.iter_mut().step_by(usize::try_from(count / 10).unwrap()) {
        socket.send(&frame(true, TEXT, call.as_bytes())).await;
        assert!(socket.text().await.starts_with(r#"{"requestId":"7","status":404,"#));
    }

    drop(sockets);
    let none = async || (api.metric("hiroba_sockets").await == 0.0).then_some(());
    eventually("the sockets to be closed", none).await;
    api.mutexes("ns", "alice").unlock("p", "t").await.item();
    block_in_place(|| server.stop());
}

on_both_engines! {
    ten_thousand_sockets
}

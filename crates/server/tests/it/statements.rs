//! Every statement of the server is one that both engines understand (DESIGN 3).

use std::sync::Arc;

use hiroba_server::app::MIGRATIONS;
use hiroba_store::{PostgresConfig, SqliteConfig, Store, StoreConfig};
use hiroba_testkit::{Database, on_both_engines};

async fn all_are_understood(database: Database) {
    let config = match database.url() {
        Some(url) => StoreConfig::Postgres(PostgresConfig::new(url)),
        None => StoreConfig::Sqlite(SqliteConfig::new(database.data_folder("data").join("hiroba.db"))),
    };
    let statements = hiroba_server::statements();
    assert!(statements.len() > 40, "{} statements are not all", statements.len());
    let prepare = move || {
        let store = Store::open(&config, MIGRATIONS, Arc::new(())).unwrap();
        let refused = store.prepare_all(&statements);
        // The check itself: a statement that is none is refused.
        assert_eq!(store.prepare_all(&["SELECT nothing FROM nowhere"]).len(), 1);
        (store, refused)
    };
    let (store, refused) = tokio::task::spawn_blocking(prepare).await.unwrap();
    assert!(refused.is_empty(), "{refused:#?}");
    store.close().await;
}

on_both_engines! {
    all_are_understood
}

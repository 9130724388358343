//! The operations on user data of one service, and the files behind them.

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::deadline::within;
use crate::http::{Connection, Request, Response};

/// Calls of one service about the data of players.
#[derive(Debug, Clone)]
pub struct UserData {
    api: Api,
    service: String,
}

impl UserData {
    /// Those of a service, named as in paths: `job-queue`.
    pub fn of(api: &Api, service: &str) -> UserData {
        UserData { api: api.clone(), service: service.to_owned() }
    }

    /// `dump`, `clean` or `import` as it is started; `fields` are those of an import.
    pub async fn start(&self, kind: &str, user: &str, fields: Value) -> Response {
        self.api.call(&self.service, "POST", &format!("/system/{kind}/user/{user}"), fields).await
    }

    /// The request of [`start`](UserData::start).
    pub fn start_request(&self, kind: &str, user: &str, fields: &Value) -> Request {
        self.api.request(&self.service, "POST", &format!("/system/{kind}/user/{user}"), fields)
    }

    /// `checkDumpUserDataByUserId` or `checkCleanUserDataByUserId`.
    pub async fn check(&self, kind: &str, user: &str) -> Response {
        self.api.call(&self.service, "GET", &format!("/system/{kind}/user/{user}"), Value::Null).await
    }

    /// `checkImportUserDataByUserId`.
    pub async fn check_import(&self, user: &str, token: &str) -> Response {
        self.api.call(&self.service, "GET", &format!("/system/import/user/{user}/{token}"), Value::Null).await
    }

    /// Dumps a player's data: the file.
    pub async fn dump(&self, user: &str) -> Vec<u8> {
        assert_eq!(self.start("dump", user, json!({})).await.ok(), json!({}));
        let checked = self.check("dump", user).await.ok();
        let answer = self.file(text(&checked, "url")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/zip")));
        answer.body
    }

    /// Removes a player's data.
    pub async fn clean(&self, user: &str) {
        assert_eq!(self.start("clean", user, json!({})).await.ok(), json!({}));
        assert_eq!(self.check("clean", user).await.ok(), json!({}));
    }

    /// Prepares an import: its token and the path to upload to.
    pub async fn prepare(&self, user: &str) -> (String, String) {
        let path = format!("/system/import/user/{user}/prepare");
        let answer = self.api.call(&self.service, "POST", &path, json!({})).await.ok();
        (text(&answer, "uploadToken").to_owned(), target(text(&answer, "uploadUrl")))
    }

    /// Uploads a file, without any token of a caller.
    pub async fn upload(&self, path: &str, content: impl Into<Vec<u8>>) -> Response {
        let request = Request::new("PUT", path).header("Content-Type", "application/zip").body(content);
        let mut connection = Connection::open(self.api.address()).await;
        let answer = within("the answer to an upload", connection.exchange(&request.bytes())).await;
        answer.expect("an upload is answered")
    }

    /// Uploads a file and imports it: the token and the answer to the import.
    pub async fn import(&self, user: &str, content: impl Into<Vec<u8>>) -> (String, Response) {
        let (token, path) = self.prepare(user).await;
        assert_eq!(self.upload(&path, content).await.status, 200);
        let answer = self.start("import", user, json!({ "uploadToken": token })).await;
        (token, answer)
    }

    /// The log of an import.
    pub async fn log(&self, user: &str, token: &str) -> String {
        let checked = self.check_import(user, token).await.ok();
        let answer = self.file(text(&checked, "url")).await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// What is behind a URL, without any token of a caller.
    pub async fn file(&self, url: &str) -> Response {
        let mut connection = Connection::open(self.api.address()).await;
        let request = Request::new("GET", &target(url));
        let answer = within("a file", connection.request(&request)).await;
        answer.expect("a file is answered").expect("a file is answered")
    }
}

/// Path of a URL.
pub fn target(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}

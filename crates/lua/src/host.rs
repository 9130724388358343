//! What the server offers to a script.

use serde_json::{Map, Value};

/// What the server offers to a script. Its functions block the thread of the script.
pub trait Host {
    /// Whether there is a service under this name, as the script wrote it: `job_queue`; old scripts say `jobQueue`.
    fn has_service(&self, service: &str) -> bool;

    /// Begins a call. `method` is in snake case (`push_by_user_id`).
    ///
    /// `Err` when there is no such method: a sentence, which the script fails with.
    fn begin(
        &self,
        service: &str,
        method: &str,
        request: Map<String, Value>,
    ) -> Result<Box<dyn Pending>, String>;

    /// Makes a call and waits for its answer.
    fn call(&self, service: &str, method: &str, request: Map<String, Value>) -> Result<Reply, String> {
        self.begin(service, method, request).map(Pending::wait)
    }

    /// Does an HTTP request of the script. When there is no answer, the reply's status says why (such as 502 or 504)
    /// and its body is the reason.
    ///
    /// The host bounds how long it takes: a run's limit of time ends nothing that has not come back.
    fn http(&self, request: HttpRequest) -> Reply;

    /// The run has lasted for [`LASTS`](crate::LASTS): whatever waits for its end may want to know. Called at most once a run.
    fn lasts(&self) {}
}

/// A call that is under way.
pub trait Pending {
    /// Waits for the answer. The host bounds how long that takes.
    fn wait(self: Box<Self>) -> Reply;
}

/// The answer to a call or to an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status; from 200 to 299 for success.
    pub status: u16,
    /// Of a call: the result object as JSON text, or for a failure the text of its array of errors. Of an HTTP
    /// request: the body as it is.
    pub body: String,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// An HTTP request of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method in capitals.
    pub method: String,
    /// The URL as the script wrote it; the host decides where a script may go.
    pub url: String,
    /// The headers, the names as the script wrote them, sorted; none has a line end in it.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<String>,
}

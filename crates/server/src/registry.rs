//! Ties each declared operation to its handler, and forgets the types behind it, so that one road serves them all.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hiroba_api::Operation;
use hiroba_api::contract::{Credentials, Fields, Row, Subject, Table, decode};
use hiroba_api::error::ApiError;
use hiroba_store::{Engine, Store, Tx};
use serde::Serialize;

use crate::cx::{Cx, found};
use crate::error::Error;
use crate::pipeline::{Avoider, with_metadata};
use crate::services::namespaces::{NamespaceData, cached, read};

/// How often a call is made again that a twin was faster than.
const TWINS_MAX: u32 = 3;

/// A future of the result's JSON text.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'a>>;

/// A decoded request whose type is forgotten.
pub(crate) trait AnyRequest: Any + Send + Sync {
    /// The request as a flat object: what policies and the duplication avoider look at.
    fn fields(&self) -> Fields;
    /// For the handler, which knows the type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

struct Request<O>(O);

impl<O: Operation> AnyRequest for Request<O> {
    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        self.0.write(&mut fields);
        fields
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A call that passed every check.
pub(crate) struct Call {
    pub(crate) cx: Arc<Cx>,
    pub(crate) request: Arc<dyn AnyRequest>,
    pub(crate) avoider: Option<Avoider>,
}

/// An operation's handler whose types are forgotten.
pub(crate) trait AnyHandler: Send + Sync {
    /// Reads the request, or says everything that is wrong with it.
    fn decode(
        &self,
        row: &Row,
        fields: Fields,
        credentials: &Credentials,
    ) -> Result<(Arc<dyn AnyRequest>, Subject), ApiError>;

    /// Handles the call and answers the result's JSON text.
    fn run<'a>(&'a self, store: &'a Store, call: Call) -> Answering<'a>;

    /// Handles the call inside of a transaction that runs already; `None` when the operation cannot be part of one.
    fn within(&self, tx: &mut Tx<'_>, call: Call) -> Option<Result<String, Error>>;
}

/// A handler that only reads.
pub(crate) type ReadHandler<O> = fn(&mut Tx<'_>, &Cx, &O) -> Result<<O as Operation>::Answer, Error>;
/// A handler that is one transaction. It may run twice, so it touches nothing but `Tx` and `Cx`.
pub(crate) type WriteHandler<O> = fn(&mut Tx<'_>, &Cx, &O) -> Result<<O as Operation>::Answer, Error>;

/// A handler that is one transaction, with what was read of its namespace before.
pub(crate) type NamespaceHandler<O, N> =
    fn(&mut Tx<'_>, &Cx, &O, &N) -> Result<<O as Operation>::Answer, Error>;

/// A handler that does its work in a transaction that others have begun.
pub(crate) type WithinHandler<O> = fn(&mut Tx<'_>, &Arc<Cx>, &O) -> Result<<O as Operation>::Answer, Error>;
type Within<'a, O> =
    dyn Fn(&mut Tx<'_>, &Arc<Cx>, &O) -> Result<<O as Operation>::Answer, Error> + Send + Sync + 'a;

#[allow(clippy::type_complexity, reason = "the types are named nowhere else")]
enum Handler<O: Operation> {
    Read(ReadHandler<O>),
    Write(WriteHandler<O>),
    Call(
        Box<
            dyn Fn(Arc<Cx>, Arc<O>) -> Pin<Box<dyn Future<Output = Result<O::Answer, Error>> + Send>>
                + Send
                + Sync,
        >,
        Option<Box<Within<'static, O>>>,
    ),
    Whole(
        Box<
            dyn Fn(
                    Store,
                    Arc<Cx>,
                    Arc<Request<O>>,
                    Option<Avoider>,
                ) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>
                + Send
                + Sync,
        >,
        Option<Box<Within<'static, O>>>,
    ),
}

impl<O: Operation> AnyHandler for Handler<O> {
    fn decode(
        &self,
        row: &Row,
        fields: Fields,
        credentials: &Credentials,
    ) -> Result<(Arc<dyn AnyRequest>, Subject), ApiError> {
        let decoded = decode::<O>(row, fields, credentials)?;
        Ok((Arc::new(Request(decoded.request)), decoded.subject))
    }

    fn run<'a>(&'a self, store: &'a Store, call: Call) -> Answering<'a> {
        Box::pin(async move {
            let Ok(request) = call.request.into_any().downcast::<Request<O>>() else {
                return Err(Error::Internal("the request belongs to another operation".to_owned()));
            };
            match self {
                Handler::Read(handler) => {
                    let (handler, cx) = (*handler, call.cx);
                    let answer = store.read(move |tx| handler(tx, &cx, &request.0)).await?;
                    json(&answer)
                }
                Handler::Write(handler) => {
                    let (handler, cx) = (*handler, Arc::clone(&call.cx));
                    let handle = move |tx: &mut Tx<'_>| handler(tx, &cx, &request.0);
                    write::<O::Answer>(store, call.cx, call.avoider.map(Arc::new), handle).await
                }
                Handler::Whole(handler, _) => handler(store.clone(), call.cx, request, call.avoider).await,
                Handler::Call(handler, _) => {
                    // The request is shared only with this future.
                    let request = Arc::try_unwrap(request)
                        .map_err(|_| Error::Internal("the request is still in use".to_owned()))?;
                    let (cx, request) = (call.cx, Arc::new(request.0));
                    match call.avoider {
                        Some(avoider) => once(store, avoider, &cx, handler(Arc::clone(&cx), request)).await,
                        None => json(&handler(cx, request).await?),
                    }
                }
            }
        })
    }

    fn within(&self, tx: &mut Tx<'_>, call: Call) -> Option<Result<String, Error>> {
        let within: &Within<'_, O> = match self {
            Handler::Read(handler) | Handler::Write(handler) => &|tx, cx, request| handler(tx, cx, request),
            Handler::Call(_, within) | Handler::Whole(_, within) => within.as_deref()?,
        };
        let Ok(request) = call.request.into_any().downcast::<Request<O>>() else {
            return Some(Err(Error::Internal("the request belongs to another operation".to_owned())));
        };
        let handle = |tx: &mut Tx<'_>| -> Result<String, Error> {
            if let Some(avoider) = &call.avoider
                && let Some(kept) = avoider.answer(tx, &call.cx)?
            {
                return Ok(kept);
            }
            let answer = with_metadata(&call.cx, json(&within(tx, &call.cx, &request.0)?)?);
            if let Some(avoider) = &call.avoider {
                avoider.keep(tx, &call.cx, &answer)?;
            }
            Ok(answer)
        };
        Some(handle(tx))
    }
}

async fn write<A: Serialize + Send + 'static>(
    store: &Store,
    cx: Arc<Cx>,
    avoider: Option<Arc<Avoider>>,
    handle: impl Fn(&mut Tx<'_>) -> Result<A, Error> + Send + Sync + 'static,
) -> Result<String, Error> {
    let Some(avoider) = avoider else {
        let (dry_run, writing) = (cx.dry_run, Arc::clone(&cx));
        let transaction = move |tx: &mut Tx<'_>| {
            writing.entropy.restart();
            handle(tx)
        };
        let answer =
            if dry_run { store.dry_run(transaction).await? } else { store.write(transaction).await? };
        // Written here and not in the transaction: the store's writer has better things to do.
        return Ok(with_metadata(&cx, json(&answer)?));
    };
    let (engine, handle) = (store.engine(), Arc::new(handle));
    let mut attempts = 0;
    loop {
        // On PostgreSQL a serializable transaction that finds no row is in conflict with whoever adds one near by; keeping the
        // answer at the end of the transaction tells twins apart all the same.
        if engine == Engine::Postgres
            && let Some(kept) = asked_before(store, &avoider, &cx).await?
        {
            return Ok(kept);
        }
        match write_once(&cx, &avoider, &handle).await {
            // Its answer is there now.
            Err(Error::Twin) if attempts < TWINS_MAX => attempts += 1,
            answer => return answer,
        }
    }
}

/// The answer that is kept for a call.
async fn asked_before(store: &Store, avoider: &Arc<Avoider>, cx: &Arc<Cx>) -> Result<Option<String>, Error> {
    let (asking, cx) = (Arc::clone(avoider), Arc::clone(cx));
    store.read(move |tx| asking.answer(tx, &cx)).await
}

async fn write_once<A: Serialize + Send + 'static>(
    cx: &Arc<Cx>,
    avoider: &Arc<Avoider>,
    handle: &Arc<impl Fn(&mut Tx<'_>) -> Result<A, Error> + Send + Sync + 'static>,
) -> Result<String, Error> {
    let (handle, avoider, writing) = (Arc::clone(handle), Arc::clone(avoider), Arc::clone(cx));
    let transaction = move |tx: &mut Tx<'_>| -> Result<String, Error> {
        writing.entropy.restart();
        if writing.core.store.engine() == Engine::Sqlite
            && let Some(kept) = avoider.answer(tx, &writing)?
        {
            return Ok(kept);
        }
        let answer = with_metadata(&writing, json(&handle(tx)?)?);
        avoider.keep(tx, &writing, &answer)?;
        Ok(answer)
    };
    cx.write(transaction).await
}

/// Makes a call that is no transaction of its own unless its avoider has an answer, and keeps its answer.
async fn once<A: Serialize>(
    store: &Store,
    avoider: Avoider,
    cx: &Arc<Cx>,
    call: impl Future<Output = Result<A, Error>>,
) -> Result<String, Error> {
    let _running = cx.core.running.begin(&avoider, cx)?;
    let avoider = Arc::new(avoider);
    if let Some(kept) = asked_before(store, &avoider, cx).await? {
        return Ok(kept);
    }
    let answer = json(&call.await?)?;
    let (keeping_cx, kept) = (Arc::clone(cx), answer.clone());
    match cx.write(move |tx| avoider.keep(tx, &keeping_cx, &kept)).await {
        // A call on another node was made meanwhile; each caller gets the answer of the own call.
        Ok(()) | Err(Error::Twin) => Ok(answer),
        Err(error) => Err(error),
    }
}

/// A call that takes several steps before its one transaction: checks a password, runs a trigger. The duplication avoider
/// belongs to the transaction, so that however often the call is repeated, it takes effect once.
pub(crate) struct Steps<O> {
    pub(crate) cx: Arc<Cx>,
    request: Arc<Request<O>>,
    store: Store,
    avoider: Option<Arc<Avoider>>,
}

/// The JSON text of the answer to a call of several steps.
pub(crate) struct Answered(String);

impl Answered {
    /// The answer of another call, as it is.
    pub(crate) fn as_text(answer: String) -> Answered {
        Answered(answer)
    }
}

impl<O: Operation> Steps<O> {
    /// The request.
    pub(crate) fn request(&self) -> &O {
        &self.request.0
    }

    /// The answer that the call got when it was made before: then it must do nothing. To be asked before anything that has
    /// effects.
    pub(crate) async fn asked_before(&self) -> Result<Option<Answered>, Error> {
        match &self.avoider {
            Some(avoider) => Ok(asked_before(&self.store, avoider, &self.cx).await?.map(Answered)),
            None => Ok(None),
        }
    }

    /// The last step. It may run twice, so it touches nothing but `Tx` and `Cx`.
    pub(crate) async fn write(
        &self,
        handle: impl Fn(&mut Tx<'_>, &Cx, &O) -> Result<O::Answer, Error> + Send + Sync + 'static,
    ) -> Result<Answered, Error> {
        let (cx, request) = (Arc::clone(&self.cx), Arc::clone(&self.request));
        let handle = move |tx: &mut Tx<'_>| handle(tx, &cx, &request.0);
        write(&self.store, Arc::clone(&self.cx), self.avoider.clone(), handle).await.map(Answered)
    }
}

fn json(answer: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(answer).map_err(|error| Error::internal("writing an answer", error))
}

/// The handlers of all operations.
#[derive(Default)]
pub(crate) struct Registry {
    handlers: HashMap<(&'static str, &'static str), Arc<dyn AnyHandler>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registry").field("handlers", &self.handlers.len()).finish()
    }
}

impl Registry {
    /// Handles `O` with a function that only reads.
    pub(crate) fn read<O: Operation>(&mut self, handler: ReadHandler<O>) {
        self.insert::<O>(Handler::Read(handler));
    }

    /// Handles `O` in one transaction.
    pub(crate) fn write<O: Operation>(&mut self, handler: WriteHandler<O>) {
        self.insert::<O>(Handler::Write(handler));
    }

    /// Handles `O` in one transaction that gets the remembered settings of its namespace, which `name` finds in the
    /// request. Reading them again would cost the store's writer more than the rest of a small transaction.
    ///
    /// The transaction itself must fail when there is no such namespace any more.
    pub(crate) fn write_in<O: Operation, S: NamespaceData>(
        &mut self,
        name: fn(&O) -> &str,
        handler: NamespaceHandler<O, S::Namespace>,
    ) {
        let within: Box<Within<'static, O>> = Box::new(move |tx, cx, request| {
            let namespace = found(read::<S>(tx, cx, name(request)), S::SERVICE, "namespace", name(request))?;
            handler(tx, cx, request, &namespace)
        });
        let whole =
            Box::new(move |store: Store, cx: Arc<Cx>, request: Arc<Request<O>>, avoider: Option<Avoider>| {
                let answer = async move {
                    let namespace = cached::<S>(&cx, name(&request.0)).await?;
                    let handling = Arc::clone(&cx);
                    let handle = move |tx: &mut Tx<'_>| handler(tx, &handling, &request.0, &namespace);
                    write::<O::Answer>(&store, cx, avoider.map(Arc::new), handle).await
                };
                Box::pin(answer) as Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>
            });
        self.insert::<O>(Handler::Whole(whole, Some(within)));
    }

    /// Handles `O` with a future, for what must not be done inside a transaction, such as hashing a password.
    pub(crate) fn call<O: Operation, F>(&mut self, handler: fn(Arc<Cx>, Arc<O>) -> F)
    where
        F: Future<Output = Result<O::Answer, Error>> + Send + 'static,
    {
        self.insert::<O>(Handler::Call(Box::new(move |cx, request| Box::pin(handler(cx, request))), None));
    }

    /// Handles `O` with a future, and with `within` where the call is part of a transaction that others have begun.
    pub(crate) fn call_or_within<O: Operation, F>(
        &mut self,
        handler: fn(Arc<Cx>, Arc<O>) -> F,
        within: WithinHandler<O>,
    ) where
        F: Future<Output = Result<O::Answer, Error>> + Send + 'static,
    {
        let call = Box::new(move |cx, request| {
            Box::pin(handler(cx, request)) as Pin<Box<dyn Future<Output = Result<O::Answer, Error>> + Send>>
        });
        self.insert::<O>(Handler::Call(call, Some(Box::new(within))));
    }

    /// Handles `O` with several steps, of which the last is a transaction.
    pub(crate) fn steps<O: Operation, F>(&mut self, handler: fn(Steps<O>) -> F)
    where
        F: Future<Output = Result<Answered, Error>> + Send + 'static,
    {
        let whole =
            Box::new(move |store: Store, cx: Arc<Cx>, request: Arc<Request<O>>, avoider: Option<Avoider>| {
                let steps = handler(Steps { cx, request, store, avoider: avoider.map(Arc::new) });
                let answer = async move { steps.await.map(|answered| answered.0) };
                Box::pin(answer) as Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>
            });
        self.insert::<O>(Handler::Whole(whole, None));
    }

    fn insert<O: Operation>(&mut self, handler: Handler<O>) {
        let key = (O::DECLARATION.service.name, O::DECLARATION.name);
        let twin = self.handlers.insert(key, Arc::new(handler));
        assert!(twin.is_none(), "{}.{} has two handlers", key.0, key.1);
    }

    /// The handler of each row of the table, in its order.
    ///
    /// Panics when one is missing: a declared operation without a handler is a mistake that the first start shows.
    pub(crate) fn into_rows(self, table: &Table) -> Vec<Arc<dyn AnyHandler>> {
        let handler = |row: &Row| {
            let key = (row.declaration.service.name, row.declaration.name);
            let handler = self.handlers.get(&key).map(Arc::clone);
            handler.unwrap_or_else(|| missing(key))
        };
        table.rows().iter().map(handler).collect()
    }
}

#[allow(clippy::panic, reason = "a program that lacks a handler must not start")]
fn missing((service, name): (&str, &str)) -> Arc<dyn AnyHandler> {
    panic!("{service}.{name} is declared but has no handler")
}

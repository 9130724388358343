//! Calls that are part of a transaction which runs already: the same checks as on the road, and then the handler with that
//! transaction instead of one of its own.

use std::sync::Arc;
use std::time::Instant;

use hiroba_api::contract::{Credentials, Fields, Row};
use hiroba_api::error::ApiError;
use hiroba_store::Tx;

use super::inside::Origin;
use super::{Passage, Pipeline};
use crate::entropy::request_id;
use crate::error::Error;

impl Pipeline {
    /// Makes a call of the server itself inside of a transaction.
    ///
    /// The inner error is the call's own: what it had written is taken back, and the transaction may go on. After an outer one
    /// it cannot.
    pub(crate) fn call_within(
        &self,
        tx: &mut Tx<'_>,
        row: &Row,
        fields: Fields,
        credentials: Credentials,
        origin: Origin,
    ) -> Result<Result<String, ApiError>, Error> {
        let started = Instant::now();
        let note = self.core.logs.note(row, &fields, &origin.project.owner, self.core.clock.now().0);
        let passage = Passage { trace: origin.trace.inside(&request_id()), note };
        let handle = |tx: &mut Tx<'_>| {
            let call = self.call_of(row, fields, credentials, origin, &passage)?;
            let handler = &self.handlers[usize::from(row.id.0)];
            handler.within(tx, call).unwrap_or_else(|| Err(cannot_be_part(row).into()))
        };
        let answer = match tx.part(handle) {
            Ok(answer) => Ok(answer),
            Err(Error::Refused(error)) => Err(error),
            Err(error) => return Err(error),
        };
        let status = answer.as_ref().map_or_else(|error| error.status.code(), |_| 200);
        let elapsed = started.elapsed();
        self.core.metrics.called(row.id, status, elapsed);
        if self.core.records(&passage) {
            // It has happened when the whole has.
            let (core, id, recorded) = (Arc::clone(&self.core), row.id, answer.clone());
            tx.on_commit(move || core.record(core.table.row(id), passage, &recorded, elapsed));
        }
        Ok(answer)
    }
}

fn cannot_be_part(row: &Row) -> ApiError {
    let (service, component) = (row.declaration.service.name, row.declaration.component);
    let detail = format!(
        "{service}.{} takes several steps, so that it cannot be part of a transaction whose actions take effect together; \
         run it without `enableAtomicCommit`",
        row.name
    );
    ApiError::bad_request(service, component, &row.name, "failed", detail)
}

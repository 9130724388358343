//! How a transaction runs, as the setting of the namespace says that makes it (BEHAVIOUR DT-30 … DT-34).

use std::sync::Arc;

use hiroba_api::distributor::{Namespace, Namespaces, SERVICE};
use hiroba_api::grn::Grn;
use hiroba_api::identifier;
use hiroba_api::namespace::{TransactionSetting, TransactionSettingV2};
use hiroba_api::policy::Permissions;
use hiroba_store::Tx;

use crate::cx::Cx;
use crate::error::Error;
use crate::services::namespaces;

/// The Distributor namespace when no setting names one.
const DEFAULT: &str = "default";

/// How a transaction runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Whether the server runs it by itself.
    pub(super) auto_run: bool,
    /// Whether its actions take effect together.
    pub(super) atomic: bool,
    /// Whether it runs after the call that makes it.
    pub(super) later: bool,
    /// Whether the acquire actions become jobs.
    pub(super) acquire_by_jobs: bool,
    /// GRN of the Distributor namespace, where one is named.
    distributor_id: Option<String>,
    /// GRN of the key that signs the sheet.
    pub(super) key_id: Option<String>,
    /// GRN of the JobQueue namespace, where one is named.
    queue_id: Option<String>,
}

impl Mode {
    /// What the settings of a namespace say; the older one where there are both.
    pub(crate) fn new(old: Option<&TransactionSetting>, new: Option<&TransactionSettingV2>) -> Mode {
        let text = |id: &Option<hiroba_api::names::GrnText>| id.as_deref().map(str::to_owned);
        match (old, new) {
            (Some(setting), _) => Mode {
                auto_run: setting.enable_auto_run,
                // Needs the one before it (BEHAVIOUR DT-31, DT-32).
                atomic: setting.enable_auto_run && setting.enable_atomic_commit,
                later: setting.enable_auto_run
                    && (!setting.enable_atomic_commit || setting.transaction_use_distributor),
                acquire_by_jobs: setting.acquire_action_use_job_queue,
                distributor_id: text(&setting.distributor_namespace_id),
                key_id: text(&setting.key_id),
                queue_id: text(&setting.queue_namespace_id),
            },
            // What the newer one leaves out is what the vendor advises always to choose (DT-30, V-02).
            (None, Some(setting)) => Mode {
                auto_run: true,
                atomic: true,
                distributor_id: text(&setting.distributor_namespace_id),
                ..Mode::default()
            },
            (None, None) => Mode::default(),
        }
    }

    /// GRN of the JobQueue namespace that the acquire actions' jobs are in.
    pub(super) fn queue_id(&self, cx: &Cx) -> String {
        let id = self.queue_id.as_deref().unwrap_or("grn:gs2:{region}:{ownerId}:queue:default");
        cx.project.expand(id)
    }

    /// Name of the Distributor namespace that keeps the results; `default` when the setting names none of this project.
    pub(super) fn distributor(&self, cx: &Cx) -> String {
        let expanded = self.distributor_id.as_deref().map(|id| cx.project.expand(id));
        let grn = expanded.as_deref().and_then(Grn::parse);
        let own = grn.filter(|grn| grn.owner == cx.owner() && grn.service == SERVICE.grn);
        own.map_or_else(|| DEFAULT.to_owned(), |grn| grn.rest.to_owned())
    }
}

/// The Distributor namespace of this name, if there is one.
pub(super) fn namespace(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<Option<Arc<Namespace>>, Error> {
    match namespaces::remembered::<Namespaces>(cx, name) {
        Some(remembered) => Ok(remembered),
        None => Ok(namespaces::read::<Namespaces>(tx, cx, name)?.map(Arc::new)),
    }
}

/// What the actions of a namespace may do; everything when it assumes no user (BEHAVIOUR DT-52).
pub(super) fn permissions(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: Option<&Namespace>,
) -> Result<Option<Arc<Permissions>>, Error> {
    let Some(id) = namespace.and_then(|namespace| namespace.assume_user_id.as_deref()) else {
        return Ok(None);
    };
    let id = cx.project.expand(id);
    let grn = Grn::parse(&id);
    let own = grn.filter(|grn| grn.owner == cx.owner() && grn.service == identifier::SERVICE.grn);
    // A user who does not exist may do nothing.
    let user = own.and_then(|grn| grn.rest.strip_prefix("user:")).unwrap_or_default();
    Ok(Some(Arc::new(cx.core.access.of_user(tx, cx.owner(), user)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(auto_run: bool, atomic: bool, distributor: bool) -> TransactionSetting {
        TransactionSetting {
            enable_auto_run: auto_run,
            enable_atomic_commit: atomic,
            transaction_use_distributor: distributor,
            commit_script_result_in_use_distributor: false,
            acquire_action_use_job_queue: false,
            enable_sequential_execution: None,
            distributor_namespace_id: None,
            key_id: None,
            queue_namespace_id: None,
        }
    }

    /// BEHAVIOUR DT-30 … DT-32, DT-34.
    #[test]
    fn a_setting_that_needs_another_one_is_nothing_without_it() {
        let mode = |auto_run, atomic, distributor| {
            let mode = Mode::new(Some(&setting(auto_run, atomic, distributor)), None);
            (mode.auto_run, mode.atomic, mode.later)
        };
        for (atomic, distributor) in [(false, false), (true, false), (true, true), (false, true)] {
            assert_eq!(mode(false, atomic, distributor), (false, false, false));
        }
        assert_eq!(mode(true, false, false), (true, false, true));
        assert_eq!(mode(true, false, true), (true, false, true));
        assert_eq!(mode(true, true, false), (true, true, false));
        assert_eq!(mode(true, true, true), (true, true, true));
        assert_eq!(Mode::new(None, None), Mode::default());
        let newer = TransactionSettingV2 { distributor_namespace_id: None, enable_parallel_execution: None };
        let mode = Mode::new(None, Some(&newer));
        assert!(mode.auto_run && mode.atomic && !mode.later);
    }
}

//! The seven namespace operations that every service with namespaces has, declared once. A service adds its settings.

use crate::contract::{Field, Item, Operation, Page, Service};
use crate::gateway::MobileNotificationMessage;
use crate::names::{GrnText, text_type};
use crate::{Model, error::ErrorItem};

/// Where a namespace's calls are logged.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct LogSetting {
    /// GRN of the Log namespace that receives requests and answers.
    pub logging_namespace_id: GrnText,
}

/// How a service tells players something through Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Model)]
pub struct NotificationSetting {
    /// GRN of the Gateway namespace; `grn:gs2:{region}:{ownerId}:gateway:default` when absent (BEHAVIOUR N-06).
    pub gateway_namespace_id: Option<GrnText>,
    /// Whether the player's device is told when no socket is.
    pub enable_transfer_mobile_notification: Option<bool>,
    /// Sound on the device.
    #[field(0..=1024)]
    pub sound: Option<String>,
    /// Texts for the device; the one in its language is taken.
    #[field(0..=64)]
    pub mobile_notification_messages: Option<Vec<MobileNotificationMessage>>,
    /// `Enabled`, also when absent, or `Disabled`.
    pub enable: Option<Enable>,
}

impl NotificationSetting {
    /// A setting that only names the Gateway namespace.
    pub fn of(gateway_namespace_id: String) -> NotificationSetting {
        NotificationSetting {
            gateway_namespace_id: Some(GrnText::trusted(gateway_namespace_id)),
            ..NotificationSetting::default()
        }
    }

    /// Whether anything is told at all.
    pub fn is_enabled(&self) -> bool {
        self.enable.as_deref() != Some("Disabled")
    }
}

fn enable(text: &str) -> Result<(), &'static str> {
    if matches!(text, "Enabled" | "Disabled") { Ok(()) } else { Err("must be `Enabled` or `Disabled`") }
}

text_type! {
    /// `Enabled` or `Disabled`.
    Enable, 0..=128, enable
}

/// How transactions of a namespace run.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TransactionSetting {
    /// Whether the server runs them by itself.
    #[field(default = 0)]
    pub enable_auto_run: bool,
    /// Whether all actions of one take effect together.
    #[field(default = 0)]
    pub enable_atomic_commit: bool,
    /// Whether Distributor runs them.
    #[field(default = 0)]
    pub transaction_use_distributor: bool,
    /// Whether the results of scripts are applied by Distributor.
    #[field(default = 0)]
    pub commit_script_result_in_use_distributor: bool,
    /// Whether acquire actions run as jobs.
    #[field(default = 0)]
    pub acquire_action_use_job_queue: bool,
    /// Whether the transactions of a player run one after the other.
    pub enable_sequential_execution: Option<bool>,
    /// GRN of the Distributor namespace; `grn:gs2:{region}:{ownerId}:distributor:default` when absent.
    pub distributor_namespace_id: Option<GrnText>,
    /// GRN of the key that signs them.
    pub key_id: Option<GrnText>,
    /// GRN of the JobQueue namespace; `grn:gs2:{region}:{ownerId}:queue:default` when absent.
    pub queue_namespace_id: Option<GrnText>,
}

/// How transactions of a namespace run, as newer SDKs say it.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct TransactionSettingV2 {
    /// GRN of the Distributor namespace.
    pub distributor_namespace_id: Option<GrnText>,
    /// Whether the actions of one may run at the same time.
    pub enable_parallel_execution: Option<bool>,
}

fn done_trigger_target(text: &str) -> Result<(), &'static str> {
    if matches!(text, "none" | "gs2_script" | "aws") {
        Ok(())
    } else {
        Err("must be `none`, `gs2_script` or `aws`")
    }
}

text_type! {
    /// What is told when a call is done: `none`, `gs2_script` or `aws`.
    DoneTriggerTarget, 0..=128, done_trigger_target
}

/// Scripts that run with one kind of call (BEHAVIOUR CH-70, SC-08).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ScriptSetting {
    /// GRN of the script that runs before the call takes effect and may refuse it; none when absent.
    pub trigger_script_id: Option<GrnText>,
    /// What is told when the call is done: `none`, also when absent, `gs2_script` or `aws`.
    pub done_trigger_target_type: Option<DoneTriggerTarget>,
    /// GRN of the script that runs when the call is done, with target `gs2_script`.
    pub done_trigger_script_id: Option<GrnText>,
    /// GRN of the JobQueue namespace in which that script becomes a job of the acting player (BEHAVIOUR SC-30); without it
    /// the script runs once, in the background (SC-31).
    pub done_trigger_queue_namespace_id: Option<GrnText>,
}

/// Answer of `getNamespaceStatus`: `ACTIVE` or `DELETED` (BEHAVIOUR N-12).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Status {
    /// State of the namespace.
    pub status: String,
}

/// Ties the namespace operations of one service together, so that one set of handlers serves them all.
pub trait NamespaceOperations: 'static {
    /// The service.
    const SERVICE: &'static Service;
    /// The namespace model.
    type Namespace: Field + Send + Sync + 'static;
    /// `describeNamespaces`.
    type Describe: Operation<Answer = Page<Self::Namespace>>;
    /// `createNamespace`.
    type Create: Operation<Answer = Item<Self::Namespace>>;
    /// `getNamespaceStatus`.
    type GetStatus: Operation<Answer = Status>;
    /// `getNamespace`.
    type Get: Operation<Answer = Item<Self::Namespace>>;
    /// `updateNamespace`.
    type Update: Operation<Answer = Item<Self::Namespace>>;
    /// `deleteNamespace`.
    type Delete: Operation<Answer = Item<Self::Namespace>>;
    /// `getServiceVersion`.
    type GetVersion: Operation<Answer = Item<String>>;
}

/// Reads a namespace from the object that its parts make.
pub fn read_namespace<N: Field>(
    service: &Service,
    fields: crate::contract::Fields,
) -> Result<N, Vec<ErrorItem>> {
    let at =
        crate::contract::At { service: service.name, model: "namespace", member: "namespace", range: None };
    let mut errors = Vec::new();
    N::read(fields.into(), &at, &mut errors).ok_or(errors)
}

/// Declares the namespace operations of the surrounding service module; its settings are the fields in braces.
#[macro_export]
macro_rules! namespace_operations {
    (settings { $($(#[$attribute:meta])* pub $setting:ident: $kind:ty,)* }) => {
        /// A namespace: a data space of its own within the service (BEHAVIOUR N-15).
        #[derive(Debug, Clone, PartialEq, $crate::Model)]
        pub struct Namespace {
            /// GRN of the namespace.
            pub namespace_id: String,
            /// Name.
            pub name: $crate::names::NamespaceName,
            /// Description.
            pub description: Option<$crate::names::Description>,
            $($(#[$attribute])* pub $setting: $kind,)*
            /// When it was created.
            pub created_at: $crate::contract::UnixMillis,
            /// When it was last changed.
            pub updated_at: $crate::contract::UnixMillis,
            /// Grows with each change, from 1.
            pub revision: i64,
        }

        /// Lists the namespaces by name, ascending (BEHAVIOUR N-07 … N-09).
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/", name = "describeNamespaces", component = "namespace",
            answer = $crate::contract::Page<Namespace>)]
        pub struct DescribeNamespaces {
            /// Only names that begin so.
            pub name_prefix: Option<$crate::names::NamePrefix>,
            /// Where the page starts.
            pub page_token: Option<$crate::names::PageToken>,
            /// Number of elements on the page.
            pub limit: $crate::names::PageLimit,
        }

        /// Creates a namespace; it is active at once (BEHAVIOUR N-12).
        ///
        /// Fails with 400 `exists` when there is one of this name (BEHAVIOUR E-13).
        #[derive(Debug, $crate::Operation)]
        #[operation(POST "/", name = "createNamespace", component = "namespace",
            answer = $crate::contract::Item<Namespace>)]
        pub struct CreateNamespace {
            /// Name.
            pub name: $crate::names::NamespaceName,
            /// Description.
            pub description: Option<$crate::names::Description>,
            $($(#[$attribute])* pub $setting: $kind,)*
        }

        /// Says whether a namespace is `ACTIVE`.
        ///
        /// Fails with 404 `namespace`.
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/{namespaceName}/status", name = "getNamespaceStatus", component = "namespace",
            answer = $crate::namespace::Status)]
        pub struct GetNamespaceStatus {
            /// Name of the namespace.
            pub namespace_name: $crate::names::NamespaceName,
        }

        /// Gets a namespace.
        ///
        /// Fails with 404 `namespace`.
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/{namespaceName}", name = "getNamespace", component = "namespace",
            answer = $crate::contract::Item<Namespace>)]
        pub struct GetNamespace {
            /// Name of the namespace.
            pub namespace_name: $crate::names::NamespaceName,
        }

        /// Replaces the settings of a namespace; what is left out goes back to its default (BEHAVIOUR N-13).
        ///
        /// Fails with 404 `namespace`.
        #[derive(Debug, $crate::Operation)]
        #[operation(PUT "/{namespaceName}", name = "updateNamespace", component = "namespace",
            answer = $crate::contract::Item<Namespace>)]
        pub struct UpdateNamespace {
            /// Name of the namespace.
            pub namespace_name: $crate::names::NamespaceName,
            /// Description.
            pub description: Option<$crate::names::Description>,
            $($(#[$attribute])* pub $setting: $kind,)*
        }

        /// Deletes a namespace and all its data (BEHAVIOUR N-14).
        ///
        /// Fails with 404 `namespace`.
        #[derive(Debug, $crate::Operation)]
        #[operation(DELETE "/{namespaceName}", name = "deleteNamespace", component = "namespace",
            answer = $crate::contract::Item<Namespace>)]
        pub struct DeleteNamespace {
            /// Name of the namespace.
            pub namespace_name: $crate::names::NamespaceName,
        }

        /// Answers the version of the service (BEHAVIOUR N-16).
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/system/version", name = "getServiceVersion", component = "namespace",
            answer = $crate::contract::Item<String>)]
        pub struct GetServiceVersion {}

        /// The namespace operations of this service.
        #[derive(Debug)]
        pub struct Namespaces;

        impl $crate::namespace::NamespaceOperations for Namespaces {
            const SERVICE: &'static $crate::contract::Service = &SERVICE;
            type Namespace = Namespace;
            type Describe = DescribeNamespaces;
            type Create = CreateNamespace;
            type GetStatus = GetNamespaceStatus;
            type Get = GetNamespace;
            type Update = UpdateNamespace;
            type Delete = DeleteNamespace;
            type GetVersion = GetServiceVersion;
        }
    };
}

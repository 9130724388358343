//! Which namespaces are logged, and where: the log settings of all namespaces, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hiroba_api::contract::{Fields, Service};
use hiroba_api::grn::Grn;
use hiroba_api::log;
use hiroba_store::Engine;
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::watch;

use super::{Place, store};
use crate::error::Error;
use crate::generation::Generation;
use crate::pipeline::Core;

/// How often the settings are read again, since another node may have changed them.
const PERIOD: Duration = Duration::from_secs(1);

/// A namespace that is logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Its service.
    pub(crate) service: &'static str,
    /// Its name.
    pub(crate) namespace: Arc<str>,
    /// Owner and name of the Log namespace.
    pub(crate) log: Place,
}

/// By service, owner and namespace.
type Map = HashMap<&'static str, HashMap<String, HashMap<String, Arc<Logged>>>>;

/// The log settings.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    any: AtomicBool,
    map: RwLock<Map>,
    generation: Generation,
}

/// Name of the Log namespace behind a GRN, if it is one of this owner.
pub(crate) fn logging_namespace<'a>(owner: &str, id: &'a str) -> Option<&'a str> {
    let grn = Grn::parse(id)?;
    let own = grn.owner == owner || grn.owner == "{ownerId}";
    (own && grn.service == log::SERVICE.grn && !grn.rest.is_empty() && !grn.rest.contains(':'))
        .then_some(grn.rest)
}

/// The GRN in a namespace's settings.
fn named(settings: &Fields) -> Option<&str> {
    settings.get("logSetting")?.get("loggingNamespaceId")?.as_str()
}

impl Settings {
    /// Whether any namespace is logged.
    pub(crate) fn is_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// The namespace that a request is about, if it is logged.
    pub(super) fn find(&self, service: &Service, owner: &str, fields: &Fields) -> Option<Arc<Logged>> {
        let map = self.map.read();
        let namespaces = map.get(service.name)?.get(owner)?;
        if let Some(name) = fields.get("namespaceName").and_then(Value::as_str) {
            return namespaces.get(name).cloned();
        }
        namespaces.get(&elsewhere(service, fields)?).cloned()
    }

    /// Says what the settings of a namespace are from now on; `None` when it is gone.
    pub(crate) fn set(&self, service: &Service, owner: &str, namespace: &str, settings: Option<&Fields>) {
        self.generation.change();
        let mut map = self.map.write();
        let log = settings.and_then(named).and_then(|id| logging_namespace(owner, id));
        match log {
            Some(log) => insert(&mut map, service.name, owner, namespace, log),
            None => {
                if let Some(namespaces) = map.get_mut(service.name).and_then(|owners| owners.get_mut(owner)) {
                    namespaces.remove(namespace);
                }
            }
        }
        self.any.store(!is_empty(&map), Ordering::Relaxed);
    }

    /// Reads the settings of all namespaces.
    pub(crate) async fn load(&self, core: &Core) -> Result<(), Error> {
        let stamp = self.generation.stamp();
        let rows = core.store.read(store::logged).await?;
        let mut read = Map::default();
        for (owner, service, namespace, settings) in rows {
            // A service that this program does not know is called by nobody.
            let known = hiroba_api::SERVICES.iter().find(|known| known.name == service);
            let settings: Option<Fields> = serde_json::from_str(&settings).ok();
            let id = settings.as_ref().and_then(named);
            if let (Some(known), Some(log)) = (known, id.and_then(|id| logging_namespace(&owner, id))) {
                insert(&mut read, known.name, &owner, &namespace, log);
            }
        }
        let mut map = self.map.write();
        // What this node changed meanwhile is newer than what was read.
        if self.generation.is_fresh(&stamp, Engine::Sqlite) {
            self.any.store(!is_empty(&read), Ordering::Relaxed);
            *map = read;
        }
        Ok(())
    }
}

fn insert(map: &mut Map, service: &'static str, owner: &str, namespace: &str, log: &str) {
    let logged = Logged { service, namespace: namespace.into(), log: (owner.into(), log.into()) };
    let owners = map.entry(service).or_default();
    owners.entry(owner.to_owned()).or_default().insert(namespace.to_owned(), Arc::new(logged));
}

fn is_empty(map: &Map) -> bool {
    map.values().flat_map(HashMap::values).all(HashMap::is_empty)
}

/// The namespace of a request that names it inside of something else: of a script, or of a signed action.
fn elsewhere(service: &Service, fields: &Fields) -> Option<String> {
    if let Some(id) = fields.get("scriptId").and_then(Value::as_str) {
        let grn = Grn::parse(id).filter(|grn| grn.service == service.grn)?;
        return grn.rest.split(':').next().map(str::to_owned);
    }
    let signed = fields.get("stampSheet").or_else(|| fields.get("stampTask"))?.as_str()?;
    let inner = |text: &str, member: &str| {
        let object: Fields = serde_json::from_str(text).ok()?;
        object.get(member)?.as_str().map(str::to_owned)
    };
    inner(&inner(&inner(signed, "body")?, "args")?, "namespaceName")
}

/// Reads the settings again and again where other nodes may change them.
pub(crate) async fn watch(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    if core.store.engine() == Engine::Sqlite {
        return;
    }
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = core.logs.settings.load(&core).await {
            tracing::debug!(%error, "reading log settings failed; they are read again");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_setting_counts_until_it_is_gone() {
        let (settings, service) = (Settings::default(), &hiroba_api::lock::SERVICE);
        let to = |id: &str| object(json!({ "logSetting": { "loggingNamespaceId": id } }));
        let find = |owner: &str, namespace: &str| {
            settings.find(service, owner, &object(json!({ "namespaceName": namespace })))
        };
        assert!(!settings.is_any());
        settings.set(service, "o", "ns", Some(&to("grn:gs2:r:o:log:logs")));
        assert_eq!(find("o", "ns").unwrap().log.1.as_ref(), "logs");
        assert!(settings.is_any() && find("o", "other").is_none() && find("other", "ns").is_none());
        for wrong in
            ["grn:gs2:r:x:log:logs", "grn:gs2:r:o:lock:logs", "logs", "grn:gs2:r:o:log:logs:insight:x"]
        {
            settings.set(service, "o", "wrong", Some(&to(wrong)));
            assert!(find("o", "wrong").is_none(), "{wrong}");
        }
        settings.set(service, "o", "ns", Some(&object(json!({}))));
        assert!(find("o", "ns").is_none() && !settings.is_any());
        settings.set(service, "o", "ns", Some(&to("grn:gs2:{region}:{ownerId}:log:logs")));
        settings.set(service, "o", "ns", None);
        assert!(!settings.is_any());
    }

    #[test]
    fn namespaces_are_found_inside_of_other_fields() {
        let script = &hiroba_api::script::SERVICE;
        let named = |service, fields| elsewhere(service, &object(fields));
        let id = "grn:gs2:r:o:script:ns:script:name";
        assert_eq!(named(script, json!({ "scriptId": id })).as_deref(), Some("ns"));
        assert_eq!(named(&hiroba_api::lock::SERVICE, json!({ "scriptId": id })), None);
        let args = json!({ "namespaceName": "ns" }).to_string();
        let body = json!({ "args": args }).to_string();
        let sheet = json!({ "body": body, "signature": "" }).to_string();
        assert_eq!(named(script, json!({ "stampSheet": sheet })).as_deref(), Some("ns"));
        assert_eq!(named(script, json!({ "stampTask": sheet })).as_deref(), Some("ns"));
        for wrong in [json!({}), json!({ "stampSheet": "" }), json!({ "stampSheet": "{\"body\":\"\"}" })] {
            assert_eq!(named(script, wrong), None);
        }
    }
}

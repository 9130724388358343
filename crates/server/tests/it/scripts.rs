//! Script: scripts that calls set off, their limits, and what they may reach (BEHAVIOUR section 9).

mod events;
mod http;
mod limits;
mod triggers;

use hiroba_api::names::GrnText;
use hiroba_api::namespace::{DoneTriggerTarget, ScriptSetting};

/// A setting without anything.
fn no_setting() -> ScriptSetting {
    ScriptSetting {
        trigger_script_id: None,
        done_trigger_target_type: None,
        done_trigger_script_id: None,
        done_trigger_queue_namespace_id: None,
    }
}

/// A setting whose script runs after the change, in this queue if there is one.
fn done_script(script: &str, queue: Option<String>) -> ScriptSetting {
    ScriptSetting {
        done_trigger_target_type: Some(DoneTriggerTarget::trusted("gs2_script")),
        done_trigger_script_id: Some(GrnText::trusted(script)),
        done_trigger_queue_namespace_id: queue.map(GrnText::trusted),
        ..no_setting()
    }
}

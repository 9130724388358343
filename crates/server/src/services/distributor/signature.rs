//! Signatures of tasks, sheets and moments (BEHAVIOUR DT-15).

use aws_lc_rs::hmac;
use hiroba_api::distributor::SERVICE;
use hiroba_store::Tx;
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::error::Error;
use crate::services::key::signing::{KeySecret, secret};

/// GRN of the server's own key, without region: its owner is none that a project has.
const OWN_KEY: &str = "system:key:default:key:transaction";

/// GRN of the key that signs when no setting names one.
pub(super) fn own_key_id(cx: &Cx) -> String {
    format!("grn:gs2:{}:{OWN_KEY}", cx.project.region)
}

/// A text with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signed {
    pub(super) body: String,
    pub(super) signature: String,
}

/// What signs and checks.
pub(super) enum Signer {
    /// The server's own key.
    Own(hmac::Key),
    /// One of the Key service.
    Key(KeySecret),
}

impl Signer {
    /// The key of this GRN; the server's own when there is none.
    ///
    /// Fails with 400 when there is no such key (BEHAVIOUR K-04).
    pub(super) fn new(tx: &mut Tx<'_>, cx: &Cx, key_id: Option<&str>) -> Result<Signer, Error> {
        let key_id = key_id.filter(|id| !id.is_empty()).map(|id| cx.project.expand(id));
        match key_id {
            Some(id) if id != own_key_id(cx) => {
                Ok(Signer::Key(secret(tx, cx, (SERVICE.name, "distribute"), Some(&id))?))
            }
            _ => Ok(Signer::own(cx)),
        }
    }

    /// The server's own key.
    pub(super) fn own(cx: &Cx) -> Signer {
        Signer::Own(cx.core.distributor.key.clone())
    }

    /// The signature of a text: HMAC-SHA256 as hexadecimal digits.
    pub(super) fn sign(&self, body: String) -> Signed {
        let signature = match self {
            Signer::Own(key) => data_encoding::HEXLOWER.encode(hmac::sign(key, body.as_bytes()).as_ref()),
            Signer::Key(key) => key.sign(&body),
        };
        Signed { body, signature }
    }

    /// Whether a signature is that of a text.
    pub(super) fn fits(&self, body: &str, signature: &str) -> bool {
        match self {
            Signer::Own(key) => {
                let signature = data_encoding::HEXLOWER_PERMISSIVE.decode(signature.as_bytes());
                signature.is_ok_and(|signature| hmac::verify(key, body.as_bytes(), &signature).is_ok())
            }
            Signer::Key(key) => key.verify(body, signature),
        }
    }
}

impl Signed {
    /// The JSON text that goes over the wire (BEHAVIOUR DT-11, DT-13).
    pub(super) fn text(&self) -> String {
        // Strings alone always have a JSON text.
        serde_json::to_string(self).unwrap_or_default()
    }
}

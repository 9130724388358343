//! URLs of files: signed, so that nobody makes one up, and good for an hour.

use aws_lc_rs::hmac;
use hiroba_api::contract::UnixMillis;

use super::HOUR_MS;
use crate::cx::Cx;

/// Path below which files are. No namespace begins with `~`, so that no service has this path, whether host or path names it.
pub(crate) const PATH: &str = "/~data/";

/// What the key is derived for.
const LABEL: &[u8] = b"hiroba file url";

/// Signs URLs of files. Derived from the key that signs tokens, so that it is the same on every node.
#[derive(Debug)]
pub(crate) struct LinkKey(hmac::Key);

/// What a URL comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Link<'a> {
    /// The file of this name.
    File(&'a str),
    /// It was good once.
    Expired,
    /// This server did not make it.
    Forged,
}

impl LinkKey {
    /// The key that belongs to this signing key.
    pub(crate) fn new(signing_key: &[u8]) -> LinkKey {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, signing_key), LABEL);
        LinkKey(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The end of the path of a file that is good until `expires_at`.
    fn path(&self, name: &str, expires_at: i64) -> String {
        let signed = format!("{name}/{expires_at}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}/{}", data_encoding::HEXLOWER.encode(tag.as_ref()))
    }

    /// What the end of a path comes to. The signature is compared in constant time, before anything else is believed.
    pub(crate) fn read<'a>(&self, path: &'a str, now: UnixMillis) -> Link<'a> {
        let parts =
            path.rsplit_once('/').and_then(|(signed, tag)| Some((signed, signed.rsplit_once('/')?, tag)));
        let Some((signed, (name, expires_at), tag)) = parts else { return Link::Forged };
        let Ok(tag) = data_encoding::HEXLOWER.decode(tag.as_bytes()) else { return Link::Forged };
        if hmac::verify(&self.0, signed.as_bytes(), &tag).is_err() {
            return Link::Forged;
        }
        match expires_at.parse::<i64>() {
            Ok(expires_at) if expires_at > now.0 => Link::File(name),
            _ => Link::Expired,
        }
    }
}

/// A URL of a file that is good for an hour.
pub(super) fn url(cx: &Cx, name: &str) -> String {
    let path = cx.core.user_data.links.path(name, cx.now.0.saturating_add(HOUR_MS));
    cx.url(&[PATH, &path].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_good_for_its_file_and_its_time() {
        let (key, now) = (LinkKey::new(b"key"), UnixMillis(1_000));
        let path = key.path("dump-1", 2_000);
        assert_eq!(key.read(&path, now), Link::File("dump-1"));
        assert_eq!(key.read(&path, UnixMillis(1_999)), Link::File("dump-1"));
        assert_eq!(key.read(&path, UnixMillis(2_000)), Link::Expired);
        assert_eq!(LinkKey::new(b"other").read(&path, now), Link::Forged);
        for forged in [
            path.replace("dump-1", "dump-2"),
            path.replace("/2000/", "/3000/"),
            path[..path.len() - 2].to_owned(),
            path.to_uppercase(),
            "dump-1".to_owned(),
            "dump-1/2000".to_owned(),
            String::new(),
            "//".to_owned(),
        ] {
            assert_eq!(key.read(&forged, now), Link::Forged, "{forged}");
        }
    }
}

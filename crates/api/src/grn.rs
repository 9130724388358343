//! Resource names: `grn:gs2:{region}:{ownerId}:{service}:{rest}` (BEHAVIOUR N-03 … N-06). Clients parse names out of
//! them, so their form is exact (N-05).

use crate::contract::Service;

/// Owner of what is built in, such as the common policies.
pub const SYSTEM_OWNER: &str = "system";

/// Region and owner, which begin every GRN of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Region: `ap-northeast-1`.
    pub region: String,
    /// Owner id of the project.
    pub owner: String,
}

impl Project {
    /// GRN of something in `service`; `rest` may be empty.
    pub fn grn(&self, service: &Service, rest: &str) -> String {
        let region = if service.regional { self.region.as_str() } else { "" };
        let mut grn = String::with_capacity(24 + region.len() + self.owner.len() + rest.len());
        grn.push_str("grn:gs2:");
        grn.push_str(region);
        grn.push(':');
        grn.push_str(&self.owner);
        grn.push(':');
        grn.push_str(service.grn);
        if !rest.is_empty() {
            grn.push(':');
            grn.push_str(rest);
        }
        grn
    }

    /// Puts region and owner into a documentation default such as `grn:gs2:{region}:{ownerId}:gateway:default`
    /// (BEHAVIOUR N-06).
    pub fn expand(&self, text: &str) -> String {
        text.replace("{region}", &self.region).replace("{ownerId}", &self.owner)
    }
}

/// The parts of a GRN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grn<'a> {
    /// Region; empty for Identifier.
    pub region: &'a str,
    /// Owner id.
    pub owner: &'a str,
    /// Service segment: `queue`.
    pub service: &'a str,
    /// What follows; may hold further colons.
    pub rest: &'a str,
}

impl<'a> Grn<'a> {
    /// Takes a GRN apart; `None` when it has another form.
    pub fn parse(text: &'a str) -> Option<Grn<'a>> {
        let mut parts = text.strip_prefix("grn:gs2:")?.splitn(4, ':');
        let grn = Grn {
            region: parts.next()?,
            owner: parts.next()?,
            service: parts.next()?,
            rest: parts.next().unwrap_or(""),
        };
        (!grn.owner.is_empty() && !grn.service.is_empty()).then_some(grn)
    }
}

/// Fills `{name}` parameters of a template. Stops before the first part whose parameter has no value, so that a request
/// that names less gives the GRN of the enclosing thing.
pub fn fill<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    // Text of parts that wait for a parameter: `user` before `{userId}`.
    let mut waiting = String::new();
    for part in template.split(':').filter(|part| !part.is_empty()) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => {
                waiting.push(':');
                waiting.push_str(part);
            }
            Some(name) => {
                let Some(text) = value(name) else { return filled };
                filled.push_str(&waiting);
                waiting.clear();
                filled.push(':');
                filled.push_str(text);
            }
        }
    }
    filled.push_str(&waiting);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let project = Project { region: "ap-northeast-1".into(), owner: "owner".into() };
        assert_eq!(project.grn(&crate::lock::SERVICE, "ns"), "grn:gs2:ap-northeast-1:owner:lock:ns");
        assert_eq!(
            project.grn(&crate::identifier::SERVICE, "user:root"),
            "grn:gs2::owner:identifier:user:root"
        );
        let expanded = project.expand("grn:gs2:{region}:{ownerId}:gateway:default");
        assert_eq!(expanded, "grn:gs2:ap-northeast-1:owner:gateway:default");
    }

    #[test]
    fn parse_takes_apart() {
        let grn = Grn::parse("grn:gs2:eu:o:lock:ns:user:u:property:a:b").unwrap();
        assert_eq!((grn.region, grn.owner, grn.service), ("eu", "o", "lock"));
        assert_eq!(grn.rest, "ns:user:u:property:a:b");
        for wrong in
            ["", "grn:gs2", "grn:gs2:eu", "grn:gs2:eu:o", "grn:aws:eu:o:lock:ns", "grn:gs2:eu::lock:ns"]
        {
            assert_eq!(Grn::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fill_stops_at_what_is_not_named() {
        let template = "{namespaceName}:user:{userId}:property:{propertyId}";
        let user = |name: &str| {
            [("namespaceName", "ns"), ("userId", "u")].into_iter().find(|x| x.0 == name).map(|x| x.1)
        };
        assert_eq!(fill(template, user), ":ns:user:u");
        assert_eq!(fill(template, |_| None), "");
        assert_eq!(fill(template, |_| Some("x")), ":x:user:x:property:x");
    }
}

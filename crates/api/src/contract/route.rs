//! REST routing from the table: service, method and path to an operation and its path parameters.
//!
//! It is ours because the protocol's paths are not quite URLs: values arrive unencoded, a slash inside the last
//! parameter stays a slash (BEHAVIOUR T-10), and a missing value is the literal segment `null` (T-09).

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::{Row, RowId};

/// An operation that a path names.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// The operation.
    pub row: RowId,
    /// Path parameters, percent-decoded; a missing value (`null` or nothing) is left out.
    pub params: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    Param(&'static str),
    /// One segment or more, slashes included.
    Rest(&'static str),
}

impl Segment {
    /// Literals go before parameters, so that `/user/me/` is never a user called `me`.
    fn rank(&self) -> u8 {
        match self {
            Segment::Literal(_) => 0,
            Segment::Param(_) => 1,
            Segment::Rest(_) => 2,
        }
    }
}

#[derive(Debug)]
struct Route {
    segments: Vec<Segment>,
    rest_at: Option<usize>,
    row: RowId,
}

/// All routes, by service segment and method.
#[derive(Debug, Default)]
pub struct Router {
    services: HashMap<&'static str, HashMap<&'static str, Vec<Route>>>,
}

/// A path parameter is no UTF-8 once it is decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUtf8(pub &'static str);

impl Router {
    /// Builds the routes of `rows`. Two rows with one route are a mistake in a declaration and panic here, which is at
    /// start and in every test.
    pub fn new(rows: &[Row]) -> Router {
        let mut router = Router::default();
        for row in rows {
            let route = Route::new(row);
            let methods = router.services.entry(row.declaration.service.segment).or_default();
            let routes = methods.entry(row.declaration.method).or_default();
            let twin = routes.iter().find(|other| same_shape(&other.segments, &route.segments));
            assert!(twin.is_none(), "two operations have the route {} {}", row.declaration.method, row.path);
            routes.push(route);
        }
        for routes in router.services.values_mut().flat_map(HashMap::values_mut) {
            routes.sort_by_cached_key(|route| {
                let ranks: Vec<u8> = route.segments.iter().map(Segment::rank).collect();
                // Among two with a rest, the one with more literals behind it is the more specific.
                (ranks, usize::MAX - route.segments.len())
            });
        }
        router
    }

    /// Whether `segment` is the path segment of a service.
    pub fn has_service(&self, segment: &str) -> bool {
        self.services.contains_key(segment)
    }

    /// Finds the operation for `path`, which begins below the service and is not decoded yet.
    pub fn find(&self, service: &str, method: &str, path: &str) -> Result<Option<RouteMatch>, NotUtf8> {
        let Some(routes) = self.services.get(service).and_then(|methods| methods.get(method)) else {
            return Ok(None);
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        for route in routes {
            if let Some(matched) = route.matches(&parts)? {
                return Ok(Some(matched));
            }
        }
        Ok(None)
    }
}

impl Route {
    fn new(row: &Row) -> Route {
        let segments: Vec<Segment> = row
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None => Segment::Literal(part),
                Some(name) => match name.strip_prefix('*') {
                    Some(name) => Segment::Rest(name),
                    None => Segment::Param(name),
                },
            })
            .collect();
        let rest_at = segments.iter().position(|segment| matches!(segment, Segment::Rest(_)));
        Route { segments, rest_at, row: row.id }
    }

    fn matches(&self, parts: &[&str]) -> Result<Option<RouteMatch>, NotUtf8> {
        let fixed = self.segments.len() - usize::from(self.rest_at.is_some());
        let rest_len = match self.rest_at {
            None if parts.len() == fixed => 0,
            Some(_) if parts.len() > fixed => parts.len() - fixed,
            _ => return Ok(None),
        };
        let mut next = 0;
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) if parts[next] == *text => next += 1,
                Segment::Literal(_) => return Ok(None),
                Segment::Param(_) => next += 1,
                Segment::Rest(_) => next += rest_len,
            }
        }
        let mut params = Vec::with_capacity(4);
        next = 0;
        for segment in &self.segments {
            match segment {
                Segment::Literal(_) => next += 1,
                Segment::Param(name) => {
                    push(&mut params, name, parts[next])?;
                    next += 1;
                }
                Segment::Rest(name) => {
                    push(&mut params, name, &parts[next..next + rest_len].join("/"))?;
                    next += rest_len;
                }
            }
        }
        Ok(Some(RouteMatch { row: self.row, params }))
    }
}

fn push(params: &mut Vec<(&'static str, String)>, name: &'static str, raw: &str) -> Result<(), NotUtf8> {
    if !raw.is_empty() && raw != "null" {
        let text = percent_decode_str(raw).decode_utf8().map_err(|_| NotUtf8(name))?;
        params.push((name, text.into_owned()));
    }
    Ok(())
}

fn same_shape(one: &[Segment], other: &[Segment]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            (Segment::Param(_), Segment::Param(_)) | (Segment::Rest(_), Segment::Rest(_)) => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, expected: Option<(&str, &[(&str, &str)])>) {
        let table = crate::table();
        let found = table.router().find("lock", method, path).unwrap();
        let found = found.map(|found| (table.row(found.row).name.clone(), found.params));
        let expected = expected.map(|(name, params)| {
            let params = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>();
            (name.to_owned(), params)
        });
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn root_and_namespace() {
        check("GET", "", Some(("describeNamespaces", &[])));
        check("GET", "/", Some(("describeNamespaces", &[])));
        check("GET", "/ns", Some(("getNamespace", &[("namespaceName", "ns")])));
        check("GET", "/null/status", Some(("getNamespaceStatus", &[])));
        check("GET", "/system/version", Some(("getServiceVersion", &[])));
        check("PATCH", "/ns", None);
        check("GET", "/ns/nothing/here", None);
    }

    #[test]
    fn me_is_not_a_user() {
        check("GET", "/ns/user/me/mutex", Some(("describeMutexes", &[("namespaceName", "ns")])));
        let params: &[_] = &[("namespaceName", "ns"), ("userId", "me2")];
        check("GET", "/ns/user/me2/mutex", Some(("describeMutexesByUserId", params)));
    }

    #[test]
    fn the_property_keeps_its_slashes() {
        for (raw, property) in [
            ("a", "a"),
            ("a/b", "a/b"),
            ("a//b", "a//b"),
            ("/a", "/a"),
            ("a/lock", "a/lock"),
            ("a/unlock", "a/unlock"),
            ("%E3%81%82%20b", "あ b"),
            ("a+b", "a+b"),
        ] {
            let path = format!("/ns/user/me/mutex/{raw}/lock");
            check("POST", &path, Some(("lock", &[("namespaceName", "ns"), ("propertyId", property)])));
        }
    }

    #[test]
    fn a_parameter_must_be_utf8() {
        let table = crate::table();
        let found = table.router().find("lock", "GET", "/%ff/status");
        assert_eq!(found, Err(NotUtf8("namespaceName")));
    }
}

//! The language of queries: `service:lock AND NOT method:get* duration:>100`. See `docs/logs.md`.
//!
//! ```text
//! any   = all { "OR" all }
//! all   = not { [ "AND" ] not }
//! not   = ( "NOT" | "-" ) not | "(" any ")" | term
//! term  = [ field ":" ] value
//! value = [ ">" | ">=" | "<" | "<=" ] number | [ "*" ] text [ "*" ]
//! ```

use super::field::{Field, Fields, NAMES};

/// Parentheses and negations inside of each other.
const DEPTH_MAX: usize = 50;

/// What an entry must be like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Query {
    /// Like all of these; of none everything is.
    All(Vec<Query>),
    /// Like one of these.
    Any(Vec<Query>),
    /// Not like this.
    Not(Box<Query>),
    /// A field has a value.
    Field(Field, Pattern),
    /// A field is a number.
    Number(Field, Comparison, f64),
    /// A text stands anywhere in it, whatever the case of its letters.
    Anywhere(String),
}

/// A text that may begin or end with anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    any_before: bool,
    any_after: bool,
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match (self.any_before, self.any_after) {
            (false, false) => text == self.text,
            (false, true) => text.starts_with(&self.text),
            (true, false) => text.ends_with(&self.text),
            (true, true) => text.contains(&self.text),
        }
    }
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The character where it is, counted from 1.
    pub(super) position: usize,
    /// What was expected there.
    pub(super) expected: String,
}

impl Query {
    /// Reads a query. An empty one finds everything.
    pub(super) fn parse(text: &str) -> Result<Query, Wrong> {
        let tokens = tokens(text)?;
        let end = text.chars().count() + 1;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end };
        if tokens.is_empty() {
            return Ok(Query::All(Vec::new()));
        }
        let query = parser.any()?;
        match parser.peek() {
            None => Ok(query),
            Some(_) => Err(parser.wrong("there is no `(` for this `)`")),
        }
    }

    /// Whether an entry is like this.
    pub(super) fn matches(&self, fields: &Fields<'_, '_>) -> bool {
        match self {
            Query::All(queries) => queries.iter().all(|query| query.matches(fields)),
            Query::Any(queries) => queries.iter().any(|query| query.matches(fields)),
            Query::Not(query) => !query.matches(fields),
            Query::Field(field, pattern) => fields.text(field).is_some_and(|text| pattern.matches(&text)),
            Query::Number(field, comparison, wanted) => {
                fields.number(field).is_some_and(|number| match comparison {
                    Comparison::Above => number > *wanted,
                    Comparison::AtLeast => number >= *wanted,
                    Comparison::Below => number < *wanted,
                    Comparison::AtMost => number <= *wanted,
                })
            }
            Query::Anywhere(wanted) => {
                let entry = fields.entry;
                let texts = [
                    entry.service,
                    entry.method,
                    entry.user,
                    entry.namespace,
                    entry.id,
                    entry.source,
                    entry.root,
                    super::field::status(entry),
                    entry.request,
                    entry.result,
                ];
                texts.iter().any(|text| text.to_lowercase().contains(wanted))
            }
        }
    }

    /// What a chunk must hold to have such an entry.
    pub(super) fn terms(&self) -> Vec<u64> {
        match self {
            Query::All(queries) => queries.iter().flat_map(Query::terms).collect(),
            Query::Field(field, Pattern { text, any_before: false, any_after: false }) => {
                field.term(text).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A field's name, the text behind it, and whether that is quoted.
    Term(Option<String>, String, bool),
}

/// The tokens, each with the character where it begins.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let characters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(&character) = characters.get(at) {
        let position = at + 1;
        match character {
            _ if character.is_whitespace() => at += 1,
            '(' => {
                tokens.push((position, Token::Open));
                at += 1;
            }
            ')' => {
                tokens.push((position, Token::Close));
                at += 1;
            }
            '-' if characters.get(at + 1).is_some_and(|next| !next.is_whitespace()) => {
                tokens.push((position, Token::Not));
                at += 1;
            }
            _ => {
                let (token, next) = term(&characters, at)?;
                tokens.push((position, token));
                at = next;
            }
        }
    }
    Ok(tokens)
}

/// Takes a term or a word such as `AND` that begins at `at`; answers what follows.
fn term(characters: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    if characters[at] == '"' {
        let (text, next) = quoted(characters, at)?;
        return Ok((Token::Term(None, text, true), next));
    }
    let is_name = |character: &char| character.is_alphanumeric() || matches!(character, '_' | '.' | '-');
    let name = characters[at..].iter().take_while(|character| is_name(character)).count();
    if name > 0 && characters.get(at + name) == Some(&':') {
        let field = characters[at..at + name].iter().collect();
        let value = at + name + 1;
        if characters.get(value) == Some(&'"') {
            let (text, next) = quoted(characters, value)?;
            return Ok((Token::Term(Some(field), text, true), next));
        }
        let (text, next) = bare(characters, value);
        if text.is_empty() {
            let expected = format!("a value must follow `{field}:`; the empty text is `\"\"`");
            return Err(Wrong { position: value + 1, expected });
        }
        return Ok((Token::Term(Some(field), text, false), next));
    }
    let (text, next) = bare(characters, at);
    let token = match text.as_str() {
        "AND" => Token::And,
        "OR" => Token::Or,
        "NOT" => Token::Not,
        _ => Token::Term(None, text, false),
    };
    Ok((token, next))
}

fn bare(characters: &[char], at: usize) -> (String, usize) {
    let ends = |character: &char| character.is_whitespace() || matches!(character, '(' | ')' | '"');
    let length = characters[at..].iter().take_while(|character| !ends(character)).count();
    (characters[at..at + length].iter().collect(), at + length)
}

fn quoted(characters: &[char], at: usize) -> Result<(String, usize), Wrong> {
    let (mut text, mut next) = (String::new(), at + 1);
    loop {
        match (characters.get(next), characters.get(next + 1)) {
            (Some('"'), _) => return Ok((text, next + 1)),
            (Some('\\'), Some(character @ ('"' | '\\'))) => {
                text.push(*character);
                next += 2;
            }
            (Some(character), _) => {
                text.push(*character);
                next += 1;
            }
            (None, _) => {
                let expected = "this quotation mark has no second one".to_owned();
                return Err(Wrong { position: at + 1, expected });
            }
        }
    }
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    at: usize,
    depth: usize,
    /// The character behind the last one.
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    /// Says what is wrong at the next token.
    fn wrong(&self, expected: &str) -> Wrong {
        let position = self.tokens.get(self.at).map_or(self.end, |(position, _)| *position);
        Wrong { position, expected: expected.to_owned() }
    }

    fn any(&mut self) -> Result<Query, Wrong> {
        let mut queries = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            queries.push(self.all()?);
        }
        Ok(if queries.len() == 1 { queries.remove(0) } else { Query::Any(queries) })
    }

    fn all(&mut self) -> Result<Query, Wrong> {
        let mut queries = vec![self.not()?];
        loop {
            match self.peek() {
                Some(Token::And) => self.at += 1,
                Some(Token::Open | Token::Not | Token::Term(..)) => {}
                Some(Token::Or | Token::Close) | None => break,
            }
            queries.push(self.not()?);
        }
        Ok(if queries.len() == 1 { queries.remove(0) } else { Query::All(queries) })
    }

    fn not(&mut self) -> Result<Query, Wrong> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong(&format!("at most {DEPTH_MAX} may stand inside of each other")));
        }
        self.depth += 1;
        let query = match self.peek() {
            Some(Token::Not) => {
                self.at += 1;
                Query::Not(Box::new(self.not()?))
            }
            Some(Token::Open) => {
                self.at += 1;
                let query = self.any()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.wrong("a `)` must follow here"));
                }
                self.at += 1;
                query
            }
            Some(Token::Term(name, text, quoted)) => {
                let query = self.term(name.as_deref(), text, *quoted)?;
                self.at += 1;
                query
            }
            _ => return Err(self.wrong("a term such as `service:lock` must stand here")),
        };
        self.depth -= 1;
        Ok(query)
    }

    fn term(&self, name: Option<&str>, text: &str, quoted: bool) -> Result<Query, Wrong> {
        let Some(name) = name else {
            let text = if quoted { text } else { text.trim_matches('*') };
            return Ok(Query::Anywhere(text.to_lowercase()));
        };
        let Some(field) = Field::parse(name) else {
            let expected = format!(
                "there is no field `{name}`: name {NAMES}; a text with a colon that is no field stands in quotation marks"
            );
            return Err(self.wrong(&expected));
        };
        if quoted {
            let pattern = Pattern { text: text.to_owned(), any_before: false, any_after: false };
            return Ok(Query::Field(field, pattern));
        }
        let comparisons = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ];
        for (sign, comparison) in comparisons {
            let Some(number) = text.strip_prefix(sign) else { continue };
            return match number.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Query::Number(field, comparison, number)),
                _ => Err(self.wrong(&format!("a number must follow `{name}:{sign}`"))),
            };
        }
        let inner = text.strip_prefix('*').unwrap_or(text);
        let any_before = inner.len() < text.len();
        let inner_text = inner.strip_suffix('*').unwrap_or(inner);
        let any_after = inner_text.len() < inner.len();
        Ok(Query::Field(field, Pattern { text: inner_text.to_owned(), any_before, any_after }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::Entry;

    fn entry() -> Entry<'static> {
        Entry {
            at: 1000,
            duration: 120,
            status: 200,
            id: "id-1",
            service: "jobQueue",
            method: "push",
            user: "Alice",
            request: r#"{"item":"Gold coin","count":"12","list":[{"n":3}]}"#,
            result: r#"{"items":[]}"#,
            ..Entry::default()
        }
    }

    fn finds(query: &str) -> bool {
        let query = Query::parse(query).unwrap_or_else(|wrong| panic!("{query}: {wrong:?}"));
        query.matches(&Fields::new(&entry()))
    }

    #[test]
    fn terms_and_their_combinations() {
        for (query, found) in [
            ("", true),
            ("   ", true),
            ("service:jobQueue", true),
            ("service:jobqueue", false),
            ("service:job*", true),
            ("service:*Queue", true),
            ("service:*bQ*", true),
            ("service:*", true),
            ("namespaceName:*", false),
            ("service:job", false),
            ("service:\"job*\"", false),
            ("duration:>100", true),
            ("duration:>120", false),
            ("duration:>=120 duration:<=120 duration:<121", true),
            ("duration:120", true),
            ("request.count:>11.5", true),
            ("request.list.0.n:3", true),
            ("request.item:\"Gold coin\"", true),
            ("request.item:>1", false),
            ("gold", true),
            ("GOLD", true),
            ("\"gold coin\"", true),
            ("silver", false),
            ("status:ok", true),
            ("NOT status:ok", false),
            ("-status:error", true),
            ("NOT NOT gold", true),
            ("gold AND silver", false),
            ("gold silver", false),
            ("gold OR silver", true),
            ("silver OR copper", false),
            ("silver AND gold OR gold", true),
            ("silver AND (gold OR gold)", false),
            ("gold -(silver OR copper)", true),
            ("userId:Alice method:push -service:lock", true),
            ("id-1", true),
            ("and", false),
        ] {
            assert_eq!(finds(query), found, "{query}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (query, position) in [
            ("a AND", 6),
            ("OR a", 1),
            ("(a", 3),
            ("a)", 2),
            ("()", 2),
            ("service:", 9),
            ("service: lock", 9),
            ("あ service:\"lock", 11),
            ("duration:>x", 1),
            ("nothing:x", 1),
            ("a grn:gs2:x", 3),
            ("NOT", 4),
        ] {
            let wrong = Query::parse(query).expect_err(query);
            assert_eq!(wrong.position, position, "{query}: {}", wrong.expected);
        }
        let deep = "(".repeat(4000);
        assert!(Query::parse(&deep).unwrap_err().expected.contains("50"));
        assert!(Query::parse(&"-".repeat(4000)).is_err());
        assert!(Query::parse(&format!("{}a{}", "(".repeat(49), ")".repeat(49))).is_ok());
    }

    #[test]
    fn only_what_must_be_there_is_asked_of_chunks() {
        let terms = |query: &str| Query::parse(query).unwrap().terms();
        let lock = Field::Service.term("lock").unwrap();
        assert_eq!(terms("service:lock"), [lock]);
        assert_eq!(terms("service:lock gold AND duration:>1"), [lock]);
        assert_eq!(terms("service:lock userId:u").len(), 2);
        for query in ["service:lock OR gold", "NOT service:lock", "service:lock*", "status:ok"] {
            assert!(terms(query).is_empty(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ a:()\"*<>=.\\\\\\-ANDORT1é]{0,60}") {
            match Query::parse(&text) {
                Ok(query) => { let _ = query.matches(&Fields::new(&entry())); }
                Err(wrong) => prop_assert!((1..=text.chars().count() + 1).contains(&wrong.position)),
            }
        }

        #[test]
        fn a_quoted_text_finds_itself(text in "[ -~]{1,20}") {
            let user = text.replace('\\', "\\\\").replace('"', "\\\"");
            let query = Query::parse(&format!("userId:\"{user}\"")).unwrap();
            let entry = Entry { user: &text, ..Entry::default() };
            prop_assert!(query.matches(&Fields::new(&entry)));
        }

        #[test]
        fn not_turns_every_query_round(left in "(gold|silver|service:j\\*|duration:>99)", right in "(gold|silver)") {
            for joined in [format!("{left} {right}"), format!("{left} OR {right}")] {
                prop_assert_eq!(finds(&format!("NOT ({joined})")), !finds(&joined));
            }
        }
    }
}

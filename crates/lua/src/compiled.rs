//! Scripts in the form that runs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mlua::Compiler;

use crate::{Failure, state::one_line};

/// The greatest length of a script's name in an error text; the engine has room for 255 bytes.
const NAME_CHARS_MAX: usize = 60;

/// What the constants of a script may grow to while it is compiled, in bytes.
const FOLDED_BYTES_MAX: u128 = 16 << 20;

/// Globals that the compiler must look up each time, because they differ between runs or are not there.
const CHANGING_GLOBALS: [&str; 5] = ["_G", "args", "result", "vector", "buffer"];

/// Names each compiled script, so that a sandbox knows again what it has loaded.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A compiled script. A clone is cheap and shares the code.
#[derive(Debug, Clone)]
pub struct Compiled {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    name: Box<str>,
    code: Box<[u8]>,
}

impl Compiled {
    /// Compiles `source`. `name` names the script in error texts (`general:hello`).
    ///
    /// A syntax error is a failure with status 400 whose text has the name, the line and the cause. Source that was
    /// compiled elsewhere is such an error too: it is read as text, always.
    pub fn new(name: &str, source: &str) -> Result<Compiled, Failure> {
        let name: Box<str> = clean_name(name).into();
        // A statement before everything else makes comments such as `--!optimize 2` plain comments: they count at the
        // beginning only. It has no line of its own, so that lines keep their numbers.
        let source = format!("do end {}", source.strip_prefix('\u{feff}').unwrap_or(source));
        let compiler = Compiler::new()
            .set_optimization_level(u8::from(folds_little(&source)))
            .set_debug_level(1)
            .set_mutable_globals(CHANGING_GLOBALS);
        match compiler.compile(&source) {
            Ok(code) => {
                let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
                Ok(Compiled { inner: Arc::new(Inner { id, name, code: code.into() }) })
            }
            Err(mlua::Error::SyntaxError { message, .. }) => {
                // The engine's text begins with a colon and the line.
                let cause = message.trim_start_matches(':');
                Err(Failure::new(400, one_line(&format!("{name}:{cause}"))))
            }
            Err(_) => Err(Failure::new(400, format!("{name}: the script cannot be compiled"))),
        }
    }

    /// About what the script takes in memory, in bytes; for caches.
    pub fn bytes(&self) -> usize {
        size_of::<Inner>() + self.inner.name.len() + self.inner.code.len()
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn code(&self) -> &[u8] {
        &self.inner.code
    }
}

/// The name as it stands in error texts: on one line and short.
fn clean_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME_CHARS_MAX).collect()
}

/// Whether the optimising compiler may have this source.
///
/// It joins constant texts while it compiles, without any bound: thirty lines like `local b = a .. a` would end the
/// process. Each joint doubles a text at most, so that a source with few joints for its length cannot do much.
fn folds_little(source: &str) -> bool {
    let joints = source.matches("..").count() + source.matches('`').count();
    u32::try_from(joints).ok().and_then(|joints| 1u128.checked_shl(joints)).is_some_and(|doubled| {
        doubled.checked_mul(source.len() as u128).is_some_and(|bytes| bytes <= FOLDED_BYTES_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> Failure {
        Compiled::new("general:hello", source).unwrap_err()
    }

    #[test]
    fn sc01_a_syntax_error_has_name_line_and_cause() {
        let failure = error("local a = 1\nlocal b =");
        assert_eq!(failure.status, 400);
        assert!(failure.message.starts_with("general:hello:2: "), "{}", failure.message);
    }

    #[test]
    fn sc20_bytecode_is_no_source() {
        let code = Compiler::new().compile("result = {}").unwrap();
        let code: String = code.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(error(&code).status, 400);
        assert_eq!(error("\u{1b}Lua").status, 400);
    }

    #[test]
    fn sc20_constants_do_not_grow_without_bound_while_compiling() {
        let mut source = String::from("local a0 = 'xxxxxxxxxxxxxxxx'\n");
        for i in 1..60 {
            source += &format!("local a{i} = a{} .. a{}\n", i - 1, i - 1);
        }
        assert!(Compiled::new("a:b", &source).is_ok());
        let asked = format!("--!optimize 2\n{source}");
        assert!(Compiled::new("a:b", &asked).is_ok());
        let mut source = String::from("local a0 = 'xxxxxxxxxxxxxxxx'\n");
        for i in 1..60 {
            source += &format!("local a{i} = `{{a{}}}{{a{}}}`\n", i - 1, i - 1);
        }
        assert!(Compiled::new("a:b", &source).is_ok());
    }

    #[test]
    fn sc20_deep_source_is_refused_or_compiled_and_never_ends_the_process() {
        let many = 100_000;
        for source in [
            format!("local a = {}1{}", "(".repeat(many), ")".repeat(many)),
            format!("local a = {}{}", "{".repeat(many), "}".repeat(many)),
            format!("local a = 1{}", " + 1".repeat(many)),
            format!("local b = 'x'; local a = b{}", " .. b".repeat(many)),
            format!("local a = {}1", "-".repeat(many).replace("--", "- -")),
            format!("local a = {}1", "not ".repeat(many)),
            format!("local a = x{}", ".x".repeat(many)),
            format!("local a = x{}", "()".repeat(many)),
            format!("local a = x{}", "[1]".repeat(many)),
            format!("{} {}", "do ".repeat(many), "end ".repeat(many)),
            format!("if x then {} end", "elseif x then ".repeat(many)),
            format!("local a = {}1", "function() return ".repeat(many)),
            format!("local a : {}x{} = 1", "{".repeat(many), "}".repeat(many)),
            format!("local a : x{} = 1", " | x".repeat(many)),
            format!("local a : x{} = 1", "?".repeat(many)),
            format!("local a = {}1", "if x then 1 else ".repeat(many)),
            "`{".repeat(many),
        ] {
            let _ = Compiled::new("a:b", &source);
        }
    }

    #[test]
    fn a_compiled_script_may_be_shared_by_threads() {
        fn check<T: Send + Sync + Clone>(_: &T) {}
        let script = Compiled::new("a:b", "result = {}").unwrap();
        check(&script);
        assert!((10..10_000).contains(&script.bytes()));
    }

    #[test]
    fn the_first_line_keeps_its_number_and_a_byte_order_mark_is_skipped() {
        assert!(error("\u{feff}x = = 1").message.starts_with("general:hello:1: "));
        assert!(Compiled::new("a:b", "\u{feff}x = 1").is_ok());
    }
}

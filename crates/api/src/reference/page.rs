//! The page of one service.

use std::fmt::Write;

use super::{
    DRY_RUN, DUPLICATION_AVOIDER, OPTIONAL_ACCESS_TOKEN, TIME_OFFSET_TOKEN, answer_fields, first_sentence,
    headers, limits, models, request_fields, snake_case, title,
};
use crate::contract::{Access, FieldInfo, Kind, Row, Service, Table, Variant};

/// The page: description, table of operations, each operation, the models.
pub(super) fn page(table: &Table, service: &Service) -> String {
    let rows: Vec<&Row> =
        table.rows().iter().filter(|row| row.declaration.service.name == service.name).collect();
    let mut page = Page::default();
    page.head(service);
    page.operations(&rows);
    for row in &rows {
        page.operation(row);
    }
    page.models(&rows);
    page.text
}

/// Text for one cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paragraph(&mut self, text: &str) {
        self.line(text);
        self.line("");
    }

    /// A table row; the cells are Markdown already.
    fn row(&mut self, cells: &[&str]) {
        self.text.push('|');
        for cell in cells {
            // Writing to a text cannot fail.
            let _ = write!(self.text, " {cell} |");
        }
        self.text.push('\n');
    }

    fn table_head(&mut self, titles: &[&str]) {
        self.row(titles);
        self.row(&vec!["---"; titles.len()]);
    }

    fn head(&mut self, service: &Service) {
        let region = if service.regional { "{region}" } else { "" };
        // “service” keeps the heading apart from that of an operation called like the service.
        self.paragraph(&format!("# {} service", title(service)));
        self.paragraph(service.doc);
        self.table_head(&["Where", "Name"]);
        self.row(&["REST path", &format!("`/{}`", service.segment)]);
        self.row(&["WebSocket, messages, logs", &format!("`{}`", service.name)]);
        self.row(&["Scripts", &format!("`{}`", service.script)]);
        self.row(&["Policy actions", &format!("`{}:…`", service.action)]);
        self.row(&["GRNs", &format!("`grn:gs2:{region}:{{ownerId}}:{}:…`", service.grn)]);
        self.line("");
        self.paragraph("What all operations share stands in the [index](README.md).");
    }

    fn operations(&mut self, rows: &[&Row]) {
        self.paragraph("## Operations");
        self.table_head(&["Operation", "Method and path", "Access", "What it does"]);
        for row in rows {
            let name = link(&row.name);
            let (route, access) = (format!("`{}`", route(row)), row.access.word());
            self.row(&[&name, &route, access, &cell(&first_sentence(row.declaration.doc))]);
        }
        self.line("");
    }

    fn operation(&mut self, row: &Row) {
        let declaration = row.declaration;
        self.paragraph(&format!("## {}", row.name));
        self.paragraph(declaration.doc);
        match row.variant {
            Variant::Plain if declaration.maybe_player => {
                self.paragraph("The player is the one of the access token, if there is one.");
            }
            Variant::Plain => {}
            Variant::Me => self.paragraph("The player is the one of the access token."),
            Variant::ByUser => self.paragraph("The player is the one in the path."),
        }
        self.table_head(&["", ""]);
        self.row(&["REST", &format!("`{}`", route(row))]);
        let (service, component) = (declaration.service.name, declaration.component);
        let socket = format!("service `{service}`, component `{component}`, function `{}`", row.name);
        self.row(&["WebSocket", &socket]);
        let script = format!("`{}.{}`", declaration.service.script, snake_case(&row.name));
        self.row(&["Script", &script]);
        self.row(&["Access", row.access.word()]);
        if row.access != Access::Anonymous {
            self.row(&["Policy action", &format!("`{}` on `{}`", row.action, resource(row))]);
        }
        let optional = [OPTIONAL_ACCESS_TOKEN, DUPLICATION_AVOIDER, TIME_OFFSET_TOKEN, DRY_RUN];
        let names: Vec<String> = headers(row)
            .iter()
            .filter(|header| optional.contains(header))
            .map(|header| format!("`{}`", header.name))
            .collect();
        if !names.is_empty() {
            self.row(&["Optional headers", &names.join(", ")]);
        }
        self.line("");
        self.request(row);
        self.answer(row);
    }

    fn request(&mut self, row: &Row) {
        let fields = request_fields(row);
        if fields.is_empty() {
            self.paragraph("The request has no fields.");
            return;
        }
        self.paragraph("**Request**");
        self.table_head(&["Field", "In", "Type", "Required", "Limits", "Default", "Description"]);
        for field in &fields {
            let info = &field.info;
            let required = if info.shape.optional { "no" } else { "yes" };
            let default = info.shape.default.as_deref().unwrap_or_default();
            let (name, kind) = (format!("`{}`", info.name), kind(&info.shape.kind));
            let place = field.place.word();
            self.row(&[&name, place, &kind, required, &limits(info), default, &cell(info.doc)]);
        }
        self.line("");
    }

    fn answer(&mut self, row: &Row) {
        let fields = answer_fields(row);
        if fields.is_empty() {
            self.paragraph("The result is an empty object.");
            return;
        }
        self.paragraph("**Result**");
        self.field_table(&fields, "Always there");
    }

    /// Fields of an answer or a model; `always` is the title of the column that says which are never left out.
    fn field_table(&mut self, fields: &[FieldInfo], always: &str) {
        self.table_head(&["Field", "Type", always, "Limits", "Description"]);
        for info in fields {
            let always = if info.shape.optional { "no" } else { "yes" };
            let (name, kind) = (format!("`{}`", info.name), kind(&info.shape.kind));
            self.row(&[&name, &kind, always, &limits(info), &cell(info.doc)]);
        }
        self.line("");
    }

    fn models(&mut self, rows: &[&Row]) {
        let models = models(rows.iter().copied());
        if models.is_empty() {
            return;
        }
        self.paragraph("## Models");
        for model in models {
            // “Model” keeps the heading apart from that of an operation called like the model.
            self.paragraph(&format!("### Model {}", model.name));
            self.paragraph(model.doc);
            self.field_table(&model.fields, "Required");
        }
    }
}

fn route(row: &Row) -> String {
    format!("{} {}", row.declaration.method, super::full_path(row))
}

/// The GRN that policies name.
fn resource(row: &Row) -> String {
    let service = row.declaration.service;
    let region = if service.regional { "{region}" } else { "" };
    let rest = row.resource();
    let colon = if rest.is_empty() { "" } else { ":" };
    format!("grn:gs2:{region}:{{ownerId}}:{}{colon}{rest}", service.grn)
}

/// A link to the heading of this name on the same page.
fn link(heading: &str) -> String {
    format!("[{heading}](#{})", heading.to_lowercase())
}

/// The type, with a link where it is a model.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Model { name, .. } => format!("[{name}](#model-{})", name.to_lowercase()),
        Kind::List(element) => format!("list of {}", self::kind(&element.kind)),
        other => other.notation(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_apart_and_links_lead_to_them() {
        let table = crate::table();
        for service in crate::SERVICES {
            let page = page(&table, service);
            let mut headings: Vec<String> = page
                .lines()
                .filter_map(|line| {
                    line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
                })
                .map(|heading| heading.to_lowercase().replace(' ', "-"))
                .collect();
            for (_, link) in page.match_indices("](#").map(|(at, found)| (at, &page[at + found.len()..])) {
                let target = link.split(')').next().unwrap_or_default();
                assert!(headings.iter().any(|heading| heading == target), "{}: {target}", service.name);
            }
            headings.sort_unstable();
            let count = headings.len();
            headings.dedup();
            assert_eq!(headings.len(), count, "{}: two headings are equal", service.name);
        }
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(cell("a | b\nc"), "a \\| b c");
    }
}

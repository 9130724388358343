//! Fields of log entries that queries group by: `/log/{namespaceName}/model/facet…`.

use super::SERVICE;
use crate::contract::{Item, Page};
use crate::names::{NamePrefix, NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// A field of log entries: `service`, `duration`, or a path such as `request.itemName`; at most 128 characters.
    FacetField, 1..=128, |_| Ok(())
}

fn facet_type(text: &str) -> Result<(), &'static str> {
    if matches!(text, "string" | "double" | "measure") {
        Ok(())
    } else {
        Err("must be `string`, `double` or `measure`")
    }
}

text_type! {
    /// What a field holds: `string`, `double` or `measure`.
    FacetType, 1..=32, facet_type
}

/// A field that `queryFacets` counts the values of, beside those that it always does.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct FacetModel {
    /// GRN of the facet model.
    pub facet_model_id: String,
    /// The field.
    pub field: FacetField,
    /// `string`: its values are counted. `double` and `measure`: its smallest and largest values are found, and it is a metric.
    pub r#type: FacetType,
    /// Name for people.
    #[field(0..=128)]
    pub display_name: Option<String>,
    /// Place in the answer of `queryFacets`.
    #[field(0..=100000)]
    pub order: i32,
}

/// Lists the facet models by field, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model/facet", name = "describeFacetModels", component = "facetModel",
    answer = Page<FacetModel>)]
pub struct DescribeFacetModels {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only fields that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a facet model.
///
/// Fails with 400 `exists` when there is one of this field (BEHAVIOUR E-13), with 404 `namespace`, with 400 `tooMany` when the
/// namespace has 100.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/model/facet", name = "createFacetModel", component = "facetModel",
    answer = Item<FacetModel>)]
pub struct CreateFacetModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The field.
    pub field: FacetField,
    /// What it holds; `string` when absent.
    pub r#type: Option<FacetType>,
    /// Name for people.
    #[field(0..=128)]
    pub display_name: Option<String>,
    /// Place in the answer of `queryFacets`.
    #[field(0..=100000, default = 0)]
    pub order: i32,
}

/// Gets a facet model.
///
/// Fails with 404 `facetModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model/facet/{field}", name = "getFacetModel", component = "facetModel",
    answer = Item<FacetModel>)]
pub struct GetFacetModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The field.
    pub field: FacetField,
}

/// Replaces a facet model; what is left out goes back to its default (BEHAVIOUR N-13).
///
/// Fails with 404 `facetModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/model/facet/{field}", name = "updateFacetModel", component = "facetModel",
    answer = Item<FacetModel>)]
pub struct UpdateFacetModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The field.
    pub field: FacetField,
    /// What it holds; `string` when absent.
    pub r#type: Option<FacetType>,
    /// Name for people.
    #[field(0..=128)]
    pub display_name: Option<String>,
    /// Place in the answer of `queryFacets`.
    #[field(0..=100000, default = 0)]
    pub order: i32,
}

/// Deletes a facet model, and answers it.
///
/// Fails with 404 `facetModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/model/facet/{field}", name = "deleteFacetModel", component = "facetModel",
    answer = Item<FacetModel>)]
pub struct DeleteFacetModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The field.
    pub field: FacetField,
}

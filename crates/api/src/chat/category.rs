//! Categories of messages: `/chat/{namespaceName}/model…` in force, `/chat/{namespaceName}/master/model…` as drafts.

use super::SERVICE;
use crate::contract::{Item, Items, Page, UnixMillis};
use crate::names::{Description, NamespaceName, PageLimit, PageToken};
use crate::namespace::Enable;
use crate::{Model, Operation};

/// What holds for the messages of a category (BEHAVIOUR CH-32).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct CategoryModel {
    /// GRN of the category.
    pub category_model_id: String,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
    /// `Enabled` when only `postByUserId` posts messages of it; `Disabled` when players do too.
    pub reject_access_token_post: Option<Enable>,
}

/// A draft of a category. Drafts do nothing until a document made of them is in force (BEHAVIOUR CH-33).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct CategoryModelMaster {
    /// GRN of the category.
    pub category_model_id: String,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
    /// Description.
    pub description: Option<Description>,
    /// `Enabled` when only `postByUserId` posts messages of it; `Disabled` when players do too.
    pub reject_access_token_post: Option<Enable>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the categories in force (BEHAVIOUR CH-33).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model", name = "describeCategoryModels", component = "categoryModel",
    answer = Items<CategoryModel>)]
pub struct DescribeCategoryModels {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets a category in force.
///
/// Fails with 404 `categoryModel`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/model/{category}", name = "getCategoryModel", component = "categoryModel",
    answer = Item<CategoryModel>)]
pub struct GetCategoryModel {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
}

/// Lists the drafts by category, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/model", name = "describeCategoryModelMasters",
    component = "categoryModelMaster", answer = Page<CategoryModelMaster>)]
pub struct DescribeCategoryModelMasters {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a draft.
///
/// Fails with 400 `exists` when there is one of this category (BEHAVIOUR E-13), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/master/model", name = "createCategoryModelMaster",
    component = "categoryModelMaster", answer = Item<CategoryModelMaster>)]
pub struct CreateCategoryModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
    /// Description.
    pub description: Option<Description>,
    /// `Enabled` when only `postByUserId` is to post messages of it; `Disabled`, also when absent.
    pub reject_access_token_post: Option<Enable>,
}

/// Gets a draft.
///
/// Fails with 404 `categoryModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/master/model/{category}", name = "getCategoryModelMaster",
    component = "categoryModelMaster", answer = Item<CategoryModelMaster>)]
pub struct GetCategoryModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
}

/// Replaces a draft; what is left out goes back to its default (BEHAVIOUR N-13).
///
/// Fails with 404 `categoryModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/master/model/{category}", name = "updateCategoryModelMaster",
    component = "categoryModelMaster", answer = Item<CategoryModelMaster>)]
pub struct UpdateCategoryModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
    /// Description.
    pub description: Option<Description>,
    /// `Enabled` when only `postByUserId` is to post messages of it; `Disabled`, also when absent.
    pub reject_access_token_post: Option<Enable>,
}

/// Deletes a draft, and answers it.
///
/// Fails with 404 `categoryModelMaster`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/master/model/{category}", name = "deleteCategoryModelMaster",
    component = "categoryModelMaster", answer = Item<CategoryModelMaster>)]
pub struct DeleteCategoryModelMaster {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The category.
    #[field(0..=2147483645)]
    pub category: i32,
}

//! What the path of a page names besides its org. A path that names nothing of the kind is not there: 404.

use serde::{Deserialize, Deserializer, de::Error as _};
use uuid::Uuid;

use crate::domain::text::{CheckedText as _, Slug};

/// A row by its id.
#[derive(Deserialize)]
pub struct Row {
    pub id: Uuid,
}

/// A row by its id, or `new`: one that is to be made, `None`.
#[derive(Deserialize)]
pub struct RowOrNew {
    #[serde(deserialize_with = "id_or_new")]
    pub id: Option<Uuid>,
}

/// As [`RowOrNew`], of one of the lists that share a page.
#[derive(Deserialize)]
pub struct RowOrNewOf<Kind> {
    pub kind: Kind,
    #[serde(deserialize_with = "id_or_new")]
    pub id: Option<Uuid>,
}

/// A site by its slug.
#[derive(Deserialize)]
pub struct Site {
    #[serde(deserialize_with = "slug")]
    pub site: Slug,
}

fn id_or_new<'de, D: Deserializer<'de>>(path: D) -> Result<Option<Uuid>, D::Error> {
    match String::deserialize(path)?.as_str() {
        "new" => Ok(None),
        id => id.parse().map(Some).map_err(D::Error::custom),
    }
}

fn slug<'de, D: Deserializer<'de>>(path: D) -> Result<Slug, D::Error> {
    Slug::parse(String::deserialize(path)?).map_err(D::Error::custom)
}

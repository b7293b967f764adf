//! The style sheet and the script of all pages.

use std::sync::LazyLock;

pub struct Asset {
    pub content_type: &'static str,
    pub content: &'static str,
    /// Below `/console/assets/`; it has a part of the content's hash.
    pub name: String,
}

pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css")));

pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});

pub fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.name == name)
}

fn asset(stem: &str, ending: &str, content_type: &'static str, content: &'static str) -> Asset {
    let hash = blake3::hash(content.as_bytes());
    Asset { content_type, content, name: format!("{stem}.{}.{ending}", hex::encode(&hash.as_bytes()[..6])) }
}

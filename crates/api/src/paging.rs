//! Pages of lists: opaque tokens that only continue the list they were given for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog::Page;
use model::{Arn, Error, ErrorKind, Realm, Result};
use serde::{Deserialize, Serialize};

/// Rows on a page when the request does not say.
const PAGE_SIZE: usize = 100;
const MARK_BYTES: usize = 16;

/// What every list takes.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct PageInput {
    pub next_token: Option<String>,
    pub max_results: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageOfGroup {
    pub dataset_group_arn: Option<Arn>,
    #[serde(flatten)]
    pub page: PageInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageOfDataset {
    pub dataset_arn: Option<Arn>,
    #[serde(flatten)]
    pub page: PageInput,
}

/// What tokens are marked with, so that altered and foreign ones are known.
///
/// A token holds nothing but a place in a list that its bearer may read anyway: the mark guards against mistakes.
pub struct PagingKey([u8; 32]);

impl PagingKey {
    /// The same for every start of one server, so that tokens outlive a restart.
    pub fn new(realm: &Realm) -> PagingKey {
        PagingKey(blake3::derive_key(
            "lade 2026 paging tokens",
            format!("{}/{}", realm.region, realm.account).as_bytes(),
        ))
    }

    fn mark(&self, list: &str, place: &[u8]) -> [u8; MARK_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(list.as_bytes()).update(&[0]).update(place);
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&hasher.finalize().as_bytes()[..MARK_BYTES]);
        mark
    }
}

/// One page of one list.
pub struct Pager<'a> {
    key: &'a PagingKey,
    /// The operation and its filter: what a token is bound to.
    list: String,
    shown: usize,
    /// Asks for one row more than is shown, which tells whether another page follows.
    pub page: Page,
}

impl Pager<'_> {
    /// # Errors
    /// `InvalidNextToken` when the token was not given for this operation and filter.
    pub fn open<'a>(
        key: &'a PagingKey,
        operation: &str,
        filter: Option<&Arn>,
        input: PageInput,
    ) -> Result<Pager<'a>> {
        let list = format!("{operation} {}", filter.map_or("", Arn::as_str));
        let shown = input.max_results.unwrap_or(PAGE_SIZE);
        let after = input.next_token.map(|token| read(key, &list, &token).ok_or_else(invalid)).transpose()?;
        Ok(Pager { key, list, shown, page: Page { after, limit: shown + 1 } })
    }

    /// The rows to show, and the token for those behind them.
    ///
    /// `place` is that of a row as `Page` takes it: the number and the text that order the list.
    pub fn cut<R, T: Serialize>(
        &self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> (i64, &T),
    ) -> (Vec<R>, Option<String>) {
        let has_more = rows.len() > self.shown;
        rows.truncate(self.shown);
        let token = rows.last().filter(|_| has_more).map(|row| self.token(place(row)));
        (rows, token)
    }

    fn token(&self, (number, text): (i64, &impl Serialize)) -> String {
        let place = serde_json::json!([number, text]).to_string();
        let mark = self.key.mark(&self.list, place.as_bytes());
        URL_SAFE_NO_PAD.encode([&mark[..], place.as_bytes()].concat())
    }
}

fn read(key: &PagingKey, list: &str, token: &str) -> Option<(i64, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (mark, place) = bytes.split_first_chunk::<MARK_BYTES>()?;
    if *mark != key.mark(list, place) {
        return None;
    }
    serde_json::from_slice(place).ok()
}

fn invalid() -> Error {
    Error::new(ErrorKind::InvalidNextToken, "The next token is not valid for this list.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(region: &str) -> Realm {
        Realm { region: region.into(), account: "000000000000".into() }
    }

    fn arn(n: usize) -> Arn {
        realm("r").dataset_group(&format!("g{n}"))
    }

    fn open<'a>(key: &'a PagingKey, filter: Option<&Arn>, token: Option<&str>) -> Result<Pager<'a>> {
        let input = PageInput { next_token: token.map(str::to_owned), max_results: Some(2) };
        Pager::open(key, "ListDatasets", filter, input)
    }

    fn token(key: &PagingKey, filter: Option<&Arn>) -> String {
        let rows = vec![(9, arn(0)), (8, arn(1)), (7, arn(2))];
        let (shown, token) = open(key, filter, None).unwrap().cut(rows, |(at, arn)| (*at, arn));
        assert_eq!(shown.len(), 2);
        token.unwrap()
    }

    #[test]
    fn a_token_continues_behind_the_last_row_shown() {
        let key = PagingKey::new(&realm("r"));
        let token = token(&key, Some(&arn(5)));
        let next = open(&key, Some(&arn(5)), Some(&token)).unwrap();
        assert_eq!(next.page.after, Some((8, arn(1).to_string())));
        assert_eq!(next.page.limit, 3);
    }

    #[test]
    fn a_last_page_has_no_token() {
        let key = PagingKey::new(&realm("r"));
        let (rows, token) =
            open(&key, None, None).unwrap().cut(vec![(9, arn(0)), (8, arn(1))], |(at, arn)| (*at, arn));
        assert_eq!((rows.len(), token), (2, None));
    }

    #[test]
    fn foreign_and_altered_tokens_are_refused() {
        let key = PagingKey::new(&realm("r"));
        let good = token(&key, None);
        let altered = format!("{}A", &good[..good.len() - 1]);
        let cut = &good[..good.len() - 4];
        for bad in [altered.as_str(), cut, "", "ä", "AAAA"] {
            assert_eq!(open(&key, None, Some(bad)).err().unwrap().kind, ErrorKind::InvalidNextToken, "{bad}");
        }
        assert!(open(&key, Some(&arn(1)), Some(&good)).is_err());
        assert!(open(&PagingKey::new(&realm("other")), None, Some(&good)).is_err());
        let other = PageInput { next_token: Some(good), max_results: None };
        assert!(Pager::open(&key, "ListEventTrackers", None, other).is_err());
    }

    #[test]
    fn a_token_fits_its_longest_arns() {
        let key = PagingKey::new(&realm("r"));
        let long = Arn::parse(&format!("arn:aws:personalize:r:1:{}", "x".repeat(232))).unwrap();
        let pager = open(&key, Some(&long), None).unwrap();
        assert!(pager.token((i64::MAX, &long)).len() < 1500);
    }
}

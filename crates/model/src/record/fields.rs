//! Canonical bytes as values, one after the other in record order: for whoever reads many records of one layout.

use std::borrow::Cow;

use super::{SIGN, cut_short};
use crate::error::{Error, Result};

/// What is left to be read of a record. The caller knows the types of its columns, which come in record order.
///
/// All methods fail with `Corrupt` where the bytes end early or hold what no encoder writes. That texts are UTF-8 is
/// known from their encoder, and not checked.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields behind the hash.
    #[inline]
    pub fn of(record: &'a [u8]) -> Result<Fields<'a>> {
        record.get(8..).map(Fields).ok_or_else(cut_short)
    }

    /// What is left, to tell how far the reading is.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next value, a text in UTF-8; `None` for null.
    // Where this is a call, what it returns goes through memory.
    #[inline(always)]
    pub fn text(&mut self) -> Result<Option<Cow<'a, [u8]>>> {
        if !self.has_value()? {
            return Ok(None);
        }
        let zero = first_zero(self.0).ok_or_else(cut_short)?;
        if self.0.get(zero + 1) != Some(&0) {
            return self.escaped().map(|text| Some(Cow::Owned(text)));
        }
        let text = &self.0[..zero];
        self.0 = &self.0[zero + 2..];
        Ok(Some(Cow::Borrowed(text)))
    }

    /// The next value, a whole number; `None` for null.
    #[inline]
    pub fn long(&mut self) -> Result<Option<i64>> {
        Ok(self.number()?.map(|bits| (bits ^ SIGN).cast_signed()))
    }

    /// The next value, a fraction; `None` for null.
    #[inline]
    pub fn double(&mut self) -> Result<Option<f64>> {
        let bits = self.number()?;
        Ok(bits.map(|bits| f64::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN })))
    }

    /// The next value, true or false; `None` for null.
    #[inline]
    pub fn boolean(&mut self) -> Result<Option<bool>> {
        Ok(if self.has_value()? { Some(self.byte()? != 0) } else { None })
    }

    /// Says that there is nothing left.
    #[inline]
    pub fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt("a stored record has bytes behind its last column"))
        }
    }

    #[inline]
    fn number(&mut self) -> Result<Option<u64>> {
        if !self.has_value()? {
            return Ok(None);
        }
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(Some(u64::from_be_bytes(*bytes)))
    }

    #[inline]
    fn has_value(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::corrupt("a stored record has a value with an unknown mark")),
        }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*byte)
    }

    // A text that holds the byte 0.
    #[cold]
    fn escaped(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let zero = first_zero(self.0).ok_or_else(cut_short)?;
            text.extend_from_slice(&self.0[..zero]);
            let mark = self.0.get(zero + 1).copied();
            self.0 = self.0.get(zero + 2..).ok_or_else(cut_short)?;
            match mark {
                Some(0) => return Ok(text),
                Some(0xff) => text.push(0),
                _ => return Err(cut_short()),
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

// Eight bytes at a time: a borrow comes out of the first zero byte, and nothing below it has one.
#[inline]
fn first_zero(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(bytes.len() - rest.len() + zeros.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    let place = rest.iter().position(|&byte| byte == 0)?;
    Some(bytes.len() - rest.len() + place)
}

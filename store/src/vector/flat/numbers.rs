//! Vectors side by side in memory in one of three number forms, and their dot product with a query.
//!
//! | form | bytes per component | what a score is off by |
//! |---|---|---|
//! | `f32` | 4 | rounding of the sum only |
//! | `f16` | 2 | about 2⁻¹² relative per component |
//! | `int8` | 2 (+ 4 per vector) | first half a step per component, then 1/508 of one; a step is the largest component / 127 |
//!
//! `int8` scans one plane of bytes and scores the best again with a second plane, which holds what the first one rounded
//! away in 254ths of a step. It reads half as much memory per scan as `f16` of the same size and ends up more exact.
//!
//! The loops keep sixteen independent sums so that the compiler can turn them into vector instructions.

use half::f16;

const LANES: usize = 16;

/// How components are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As given: the oracle.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// Two planes of signed bytes with one scale per vector. The default: half the memory of `f32`, the same ten best, and
    /// the fastest scan where vectors outgrow the processor's cache (100 000 of 384 components on one core with SSE2:
    /// 13 ms against 27 for `f16` and 36 for `f32`; 10 000: 0.8 ms in all three).
    #[default]
    Int8,
}

impl Form {
    /// `f32`, `f16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

/// A query in the form that its index multiplies fastest.
#[derive(Debug)]
pub(crate) enum PreparedQuery {
    Float(Vec<f32>),
    /// Component ≈ `codes × scale`. Sixteen bits, so that only the stored side's rounding is felt.
    Fixed {
        codes: Vec<i16>,
        scale: f32,
        exact: Vec<f32>,
    },
}

#[derive(Debug)]
enum Data {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Int8 { codes: Vec<i8>, residues: Vec<i8>, scales: Vec<f32> },
}

/// Vectors of one dimension by slot, without holes.
#[derive(Debug)]
pub(crate) struct Vectors {
    dimension: usize,
    data: Data,
}

impl Vectors {
    pub(crate) fn new(form: Form, dimension: usize) -> Self {
        let data = match form {
            Form::F32 => Data::F32(Vec::new()),
            Form::F16 => Data::F16(Vec::new()),
            Form::Int8 => Data::Int8 { codes: Vec::new(), residues: Vec::new(), scales: Vec::new() },
        };
        Self { dimension, data }
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) fn form(&self) -> Form {
        match self.data {
            Data::F32(_) => Form::F32,
            Data::F16(_) => Form::F16,
            Data::Int8 { .. } => Form::Int8,
        }
    }

    /// Bytes reserved for components.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = match &self.data {
            Data::F32(all) => all.capacity() * size_of::<f32>(),
            Data::F16(all) => all.capacity() * size_of::<f16>(),
            Data::Int8 { codes, residues, scales } => {
                codes.capacity() + residues.capacity() + scales.capacity() * size_of::<f32>()
            }
        };
        bytes as u64
    }

    /// Appends a vector as the last slot; its length is the dimension.
    pub(crate) fn push(&mut self, vector: &[f32]) {
        match &mut self.data {
            Data::F32(all) => all.extend_from_slice(vector),
            Data::F16(all) => all.extend(vector.iter().map(|&x| f16::from_f32(x))),
            Data::Int8 { codes, residues, scales } => {
                let scale = scale_of(vector);
                codes.extend(vector.iter().map(|&x| code(x, scale)));
                residues.extend(vector.iter().map(|&x| residue(x, scale)));
                scales.push(scale);
            }
        }
    }

    /// Replaces the vector of a slot.
    pub(crate) fn set(&mut self, slot: usize, vector: &[f32]) {
        let range = slot * self.dimension..(slot + 1) * self.dimension;
        match &mut self.data {
            Data::F32(all) => all[range].copy_from_slice(vector),
            Data::F16(all) => all[range].iter_mut().zip(vector).for_each(|(to, &x)| *to = f16::from_f32(x)),
            Data::Int8 { codes, residues, scales } => {
                let scale = scale_of(vector);
                residues[range.clone()].iter_mut().zip(vector).for_each(|(to, &x)| *to = residue(x, scale));
                codes[range].iter_mut().zip(vector).for_each(|(to, &x)| *to = code(x, scale));
                scales[slot] = scale;
            }
        }
    }

    /// Moves the last vector into the slot and shortens by one.
    pub(crate) fn swap_remove(&mut self, slot: usize) {
        fn close<T: Copy>(all: &mut Vec<T>, slot: usize, dimension: usize) {
            let last = all.len() - dimension;
            all.copy_within(last.., slot * dimension);
            all.truncate(last);
        }
        match &mut self.data {
            Data::F32(all) => close(all, slot, self.dimension),
            Data::F16(all) => close(all, slot, self.dimension),
            Data::Int8 { codes, residues, scales } => {
                close(codes, slot, self.dimension);
                close(residues, slot, self.dimension);
                scales.swap_remove(slot);
            }
        }
    }

    /// Gives back memory that growth reserved.
    pub(crate) fn shrink(&mut self) {
        match &mut self.data {
            Data::F32(all) => all.shrink_to_fit(),
            Data::F16(all) => all.shrink_to_fit(),
            Data::Int8 { codes, residues, scales } => {
                codes.shrink_to_fit();
                residues.shrink_to_fit();
                scales.shrink_to_fit();
            }
        }
    }

    /// The vector of a slot, up to the form's rounding.
    pub(crate) fn get(&self, slot: usize) -> Vec<f32> {
        let range = slot * self.dimension..(slot + 1) * self.dimension;
        match &self.data {
            Data::F32(all) => all[range].to_vec(),
            Data::F16(all) => all[range].iter().map(|x| x.to_f32()).collect(),
            Data::Int8 { codes, residues, scales } => {
                let both = codes[range.clone()].iter().zip(&residues[range]);
                both.map(|(&code, &residue)| joined(code, residue) * scales[slot]).collect()
            }
        }
    }

    /// Brings a query of the same dimension into the form that [`Vectors::score`] wants.
    pub(crate) fn prepare(&self, query: &[f32]) -> PreparedQuery {
        if !matches!(self.data, Data::Int8 { .. }) {
            return PreparedQuery::Float(query.to_vec());
        }
        // So large that the products of a whole vector still fit into 32 bits.
        let most = (i32::MAX as usize / (i8::MAX as usize * self.dimension)).min(i16::MAX as usize) as f32;
        let largest = query.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = if largest > 0.0 { largest / most } else { 1.0 };
        let codes = query.iter().map(|x| (x / scale).round().clamp(-most, most) as i16).collect();
        PreparedQuery::Fixed { codes, scale, exact: query.to_vec() }
    }

    /// How many of the best by [`Vectors::score`] must be scored again with [`Vectors::exact_score`] so that the true
    /// `k` best are among them; `None` where scores are final.
    pub(crate) fn shortlist(&self, k: usize) -> Option<usize> {
        matches!(self.data, Data::Int8 { .. }).then(|| k.saturating_mul(2).saturating_add(32))
    }

    /// The dot product of a query and the vector of a slot, as exact as the form allows.
    pub(crate) fn exact_score(&self, query: &PreparedQuery, slot: usize) -> f32 {
        match (&self.data, query) {
            (Data::Int8 { codes, residues, scales }, PreparedQuery::Fixed { exact, .. }) => {
                let range = slot * self.dimension..(slot + 1) * self.dimension;
                let stored = codes[range.clone()].iter().zip(&residues[range]);
                let sum: f32 =
                    stored.zip(exact).map(|((&code, &residue), x)| joined(code, residue) * x).sum();
                sum * scales[slot]
            }
            _ => self.score(query, slot),
        }
    }

    /// The dot product of a prepared query and the vector of a slot.
    pub(crate) fn score(&self, query: &PreparedQuery, slot: usize) -> f32 {
        let range = slot * self.dimension..(slot + 1) * self.dimension;
        match (&self.data, query) {
            (Data::F32(all), PreparedQuery::Float(query)) => dot_f32(&all[range], query),
            (Data::F16(all), PreparedQuery::Float(query)) => dot_f16(&all[range], query),
            (Data::Int8 { codes, scales, .. }, PreparedQuery::Fixed { codes: query, scale, .. }) => {
                dot_i8(&codes[range], query) as f32 * (scales[slot] * scale)
            }
            // `prepare` follows `data`, which never changes its form.
            _ => f32::NAN,
        }
    }
}

/// The step between neighbouring codes: the largest component is ±127.
fn scale_of(vector: &[f32]) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 }
}

fn code(x: f32, scale: f32) -> i8 {
    (x / scale).round().clamp(-127.0, 127.0) as i8
}

/// What `code` rounded away, in 254ths of a step: half a step at most.
fn residue(x: f32, scale: f32) -> i8 {
    ((x / scale - f32::from(code(x, scale))) * 254.0).round().clamp(-127.0, 127.0) as i8
}

/// Code and residue together, in steps.
fn joined(code: i8, residue: i8) -> f32 {
    f32::from(code) + f32::from(residue) / 254.0
}

fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn dot_f16(a: &[f16], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(&x, y)| widen(x) * y).sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += widen(x[lane]) * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Half to single without a branch, for finite numbers: exponent and mantissa move into place, and a multiplication by
/// 2¹¹² corrects the exponent's bias (subnormals come out right too). The library's conversion branches or calls a
/// processor feature per number, which keeps a loop from being vectorised.
fn widen(x: f16) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(x.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * BIAS;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

fn dot_i8(a: &[i8], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_agrees_with_the_library_for_every_finite_half() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            if half.is_finite() {
                assert_eq!(widen(half).to_bits(), half.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }

    #[test]
    fn no_dimension_overflows() {
        for dimension in [1, 384, 1_024, 4_096, 65_536] {
            let mut vectors = Vectors::new(Form::Int8, dimension);
            let vector = vec![1.0 / (dimension as f32).sqrt(); dimension];
            vectors.push(&vector);
            let query = vectors.prepare(&vector);
            let score = vectors.score(&query, 0);
            assert!(
                (score - 1.0).abs() < 0.02 && (vectors.exact_score(&query, 0) - 1.0).abs() < 0.001,
                "{dimension}: {score}"
            );
        }
    }

    #[test]
    fn every_form_gives_back_what_it_got_within_its_step() {
        let vector: Vec<f32> = (0..19).map(|i| ((i * 7 % 19) as f32 - 9.0) / 20.0).collect();
        for (form, step) in [(Form::F32, 0.0), (Form::F16, 0.0003), (Form::Int8, 0.45 / 127.0 / 254.0)] {
            let mut vectors = Vectors::new(form, 19);
            vectors.push(&[0.0; 19]);
            vectors.push(&vector);
            vectors.swap_remove(0);
            for (got, wanted) in vectors.get(0).iter().zip(&vector) {
                assert!((got - wanted).abs() <= step, "{form:?}: {got} {wanted}");
            }
        }
    }
}

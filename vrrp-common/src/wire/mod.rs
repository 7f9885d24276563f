//! What is on the wire: one file per header, each both ways where we also send it.

pub mod advert;
pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod ip;
pub mod ip4;
pub mod ip6;
pub mod ndisc;

use checksum::Sum;

/// A frame, wherever its octets are: a slice on the host, a range that the verifier watches in the kernel.
pub trait Frame {
    /// Octets of the whole frame.
    fn length(&self) -> usize;

    /// The `N` octets at `at`, or `None` past the end.
    fn octets<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// Copies `length` octets at `at` to the front of `into`; `None` past either end.
    fn copy<const N: usize>(&self, at: usize, length: usize, into: &mut [u8; N]) -> Option<()>;

    /// The sum of the first `length` octets of a copy, a multiple of four. The kernel has a function for it; the verifier
    /// would walk a loop once for each way that leads there.
    fn sum<const N: usize>(&self, copy: &[u8; N], length: usize) -> Sum;
}

impl Frame for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn octets<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn copy<const N: usize>(&self, at: usize, length: usize, into: &mut [u8; N]) -> Option<()> {
        into.get_mut(..length)?.copy_from_slice(self.get(at..at.checked_add(length)?)?);
        Some(())
    }

    fn sum<const N: usize>(&self, copy: &[u8; N], length: usize) -> Sum {
        Sum::default().octets(copy.get(..length).unwrap_or_default())
    }
}

//! The frame as the kernel shows it: the only pointer arithmetic on packets.

use core::ptr;

use aya_ebpf::helpers::generated::{bpf_csum_diff, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use vrrp_common::wire::Frame;
use vrrp_common::wire::checksum::Sum;

/// The frame of one run. Headers are read in the first fragment, the message wherever it is.
pub struct Packet<'a> {
    context: &'a XdpContext,
    start: usize,
    end: usize,
}

impl<'a> Packet<'a> {
    #[inline(always)]
    pub fn new(context: &'a XdpContext) -> Self {
        Self { context, start: context.data(), end: context.data_end() }
    }
}

impl Frame for Packet<'_> {
    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: the context is the one this run was given.
        unsafe { bpf_xdp_get_buff_len(self.context.ctx) as usize }
    }

    #[inline(always)]
    fn octets<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let from = self.start + at;
        if from + N > self.end {
            return None;
        }
        // SAFETY: `from..from + N` lies inside the first fragment, which outlives the run; octets need no alignment.
        Some(unsafe { *(from as *const [u8; N]) })
    }

    #[inline(always)]
    fn copy<const N: usize>(&self, at: usize, length: usize, into: &mut [u8; N]) -> Option<()> {
        if length == 0 || length > N {
            return None;
        }
        let length = bounded::<N>(length);
        // SAFETY: `into` holds N octets and `length` is at most N; the helper checks `at` against the frame.
        let done = unsafe { bpf_xdp_load_bytes(self.context.ctx, at as u32, into.as_mut_ptr().cast(), length as u32) };
        (done == 0).then_some(())
    }

    #[inline(always)]
    fn sum<const N: usize>(&self, copy: &[u8; N], length: usize) -> Sum {
        let length = bounded::<N>(length);
        // SAFETY: `copy` holds N octets and `length` is at most N; the helper only reads.
        let sum = unsafe { bpf_csum_diff(ptr::null_mut(), 0, copy.as_ptr().cast_mut().cast(), length as u32, 0) };
        Sum::of_machine_words(sum as u32)
    }
}

/// A length of 1 to `N`: changes none, but shows the verifier that it is one.
#[inline(always)]
const fn bounded<const N: usize>(length: usize) -> usize {
    const { assert!(N.is_power_of_two()) };
    (length.wrapping_sub(1) & (N - 1)) + 1
}

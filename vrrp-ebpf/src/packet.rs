//! The frame as the kernel shows it: the only pointer arithmetic on packets.

use aya_ebpf::helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use vrrp_common::wire::Frame;

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
        const { assert!(N.is_power_of_two()) };
        if length == 0 || length > N {
            return None;
        }
        // Changes nothing after the test above, but shows the verifier 1 to N.
        let length = ((length - 1) & (N - 1)) + 1;
        // SAFETY: `into` holds N octets and `length` is at most N; the helper checks `at` against the frame.
        let done = unsafe { bpf_xdp_load_bytes(self.context.ctx, at as u32, into.as_mut_ptr().cast(), length as u32) };
        (done == 0).then_some(())
    }
}

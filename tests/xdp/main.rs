//! Frames through `classify` on the host and through the loaded program in the kernel: what each finds, and that they
//! find the same. Then the program on real devices.

mod attach;
mod host;
mod judge;
mod kernel;
mod mutate;

// What the processor that runs this program can do, and how it treats the smallest numbers. Any thread.
#pragma once

namespace winnow {

// Does it multiply bf16 natively? Otherwise bf16 is slower than f32 and `precision: auto` means f32.
bool processor_has_bf16();
// Can it compute layers in bf16 at all, fast or not (AVX-512)? Elsewhere they are widened to f32.
bool processor_computes_bf16();
// Does it multiply in tiles of matrices (AMX), at several times the speed of vectors?
bool processor_has_amx();

const char* onednn_version();  // "2.6.3"

// Denormal numbers cost a hundred times a normal operation and carry nothing a training run needs:
// results and operands below the normal range count as zero from now on, in the calling thread and
// in the `threads` threads of its OpenMP team. Call it once in every thread that runs programs.
void flush_denormals(int threads);

}  // namespace winnow

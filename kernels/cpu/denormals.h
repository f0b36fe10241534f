// Denormal numbers cost a hundred times a normal operation and carry nothing a training run needs.
#pragma once

namespace winnow::cpu {

// Results and operands below the normal range count as zero from now on, in the calling thread and
// in the `threads` threads of its OpenMP team. Call it once in every thread that runs programs.
void flush_denormals(int threads);

}  // namespace winnow::cpu

#include "kernels/processor.h"

#if defined(__SSE__)
#include <xmmintrin.h>

#include "kernels/threads.h"
#endif

namespace winnow {

void flush_denormals(int threads) {
#if defined(__SSE__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  on_threads(threads, [](int) { _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero); });
#else
  static_cast<void>(threads);
#endif
}

}  // namespace winnow

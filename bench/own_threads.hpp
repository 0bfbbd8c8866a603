// OwnThreads: how many threads cotenant's kernels use, changed while the program runs.
#ifndef COTENANT_BENCH_OWN_THREADS_HPP
#define COTENANT_BENCH_OWN_THREADS_HPP
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>

#ifndef COTENANT_SERIAL
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#endif

namespace bench {

class OwnThreads {
 public:
#ifndef COTENANT_SERIAL
  // oneTBB 2021.8 whose first work falls under a limit of 1 never starts its workers, if that limit is then replaced by a higher
  // one: let them start before any limit is set.
  OwnThreads() {
    tbb::parallel_for(0, 64, [](int) { std::this_thread::sleep_for(std::chrono::microseconds(100)); });
  }
  void set(std::size_t threads) {
    limit_.reset();
    limit_ = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism, threads);
  }

 private:
  std::unique_ptr<tbb::global_control> limit_;
#else
  void set(std::size_t) {}
#endif
};

}  // namespace bench

#endif

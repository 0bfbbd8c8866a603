// parallel_for covers every item once, and results do not depend on the number of threads.
#include <cotenant/cotenant.hpp>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#ifndef COTENANT_SERIAL
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#endif

namespace cotenant::test {
namespace {

TEST_CASE("every item is done once, whatever its estimated cost") {
  for (const double nanoseconds : {0.0, 1.0, 1e3, 1e6})
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
      std::vector<std::atomic<int>> done(count);
      cpu::parallel_for(
          count, nanoseconds,
          [](const void* context, std::size_t begin, std::size_t end) {
            auto& items = *static_cast<std::vector<std::atomic<int>>*>(const_cast<void*>(context));
            for (std::size_t i = begin; i < end; ++i) ++items[i];
          },
          &done);
      for (const auto& times : done) CHECK(times == 1);
    }
}

TEST_CASE("cheap work stays on the calling thread, in one range") {
  struct Seen {
    std::atomic<int> ranges{0};
    std::atomic<bool> elsewhere{false};
    std::thread::id caller = std::this_thread::get_id();
  } seen;
  cpu::parallel_for(
      100, 10,
      [](const void* context, std::size_t, std::size_t) {
        auto& state = *static_cast<Seen*>(const_cast<void*>(context));
        ++state.ranges;
        if (std::this_thread::get_id() != state.caller) state.elsewhere = true;
      },
      &seen);
  CHECK(seen.ranges == 1);
  CHECK_FALSE(seen.elsewhere);
}

SharedTensor<float> numbers(const Shape& shape) {
  auto tensor = empty<float>(shape);
  std::uint32_t state = 1;
  for (float& x : tensor.mutable_view().span()) x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f;
  return tensor;
}

std::vector<SharedTensor<float>> results() {
  const auto a = numbers({300, 900}), b = numbers({900, 500}), rows = numbers({3000, 200});
  return {matmul(a, b),
          matmul(a, b, [](auto sum, auto bias) { return gelu(sum + bias); }, numbers({500})),
          matmul(a.slice(0, 0, 1), b),
          softmax(rows),
          softmax(rows, 0),
          reduce_sum(rows, {.axes = {0}}),
          reduce_sum(rows),
          map([](auto x) { return exp(x); }, rows),
          layer_norm(rows, numbers({200}), numbers({200}))};
}

#ifndef COTENANT_SERIAL
TEST_CASE("results are the same bits for any number of threads") {
  const auto expected = [] {
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    CHECK(cpu::thread_count() == 1);
    return results();
  }();
  for (const int threads : {2, 3, 8}) {
    std::vector<SharedTensor<float>> got;
    const tbb::global_control more(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena(threads).execute([&] { got = results(); });
    for (std::size_t i = 0; i < expected.size(); ++i) {
      INFO("result " << i << " with " << threads << " threads");
      CHECK(std::memcmp(got[i].view().data(), expected[i].view().data(), expected[i].bytes()) == 0);
    }
  }
}
#endif

TEST_CASE("many threads may use the backend at once") {
  const auto expected = results();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const auto got = results();
      for (std::size_t i = 0; i < expected.size(); ++i) wrong += std::memcmp(got[i].view().data(), expected[i].view().data(), expected[i].bytes()) != 0;
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace cotenant::test

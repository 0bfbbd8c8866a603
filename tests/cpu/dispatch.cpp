// One program, several CPU targets: the best one is chosen, every one can be, and none reads or writes past a tensor's end.
#include <cotenant/cotenant.hpp>

#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "every_target.hpp"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace cotenant::test {
namespace {

#ifndef COTENANT_STATIC_DISPATCH
TEST_CASE("the target that the machine is told to use is the one in use") {
  const std::string best = Cpu::target_name();
  CHECK(best == hwy::TargetName(hwy::SupportedTargets() & HWY_TARGETS ? hwy::SupportedAndGeneratedTargets().front() : 0));
  std::size_t vector_bytes = 0;
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    CHECK(std::string(Cpu::target_name()) == hwy::TargetName(target));
    CHECK(Cpu::capabilities().vector_bytes >= sizeof(float));
    vector_bytes = std::max(vector_bytes, Cpu::capabilities().vector_bytes);
  }
  hwy::SetSupportedTargetsForTest(0);
  CHECK(Cpu::target_name() == best);
  CHECK(Cpu::capabilities().vector_bytes == vector_bytes);
}
#endif

#ifdef COTENANT_RAISED_BASELINE
TEST_CASE("a processor that no compiled target runs on gets an error that says what to do") {
  hwy::SetSupportedTargetsForTest(HWY_SCALAR);
  const auto x = from({1.f, 2.f}, {2});
  CHECK_THROWS_AS(softmax(x), Unsupported);
  CHECK_THROWS_WITH_AS(Cpu::target_name(), doctest::Contains("HWY_DISABLED_TARGETS"), Unsupported);
  hwy::SetSupportedTargetsForTest(0);
  CHECK(softmax(x).shape(0) == 2);
}
#endif

#ifdef __linux__
// Elements whose last byte is the last of a page, with a page behind it that nobody may touch.
template <class T> class AtThePageEnd {
 public:
  explicit AtThePageEnd(std::size_t count)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), bytes_((count * sizeof(T) + page_ - 1) / page_ * page_ + page_), count_(count) {
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(base_ != MAP_FAILED);
    REQUIRE(mprotect(base_ + bytes_ - page_, page_, PROT_NONE) == 0);
  }
  ~AtThePageEnd() { munmap(base_, bytes_); }
  AtThePageEnd(const AtThePageEnd&) = delete;
  AtThePageEnd& operator=(const AtThePageEnd&) = delete;
  // A tensor of `shape`, all elements `value`.
  SharedTensor<T, Borrowed> tensor(const Shape& shape, T value) {
    const std::span<T> elements(reinterpret_cast<T*>(base_ + bytes_ - page_) - count_, count_);
    std::ranges::fill(elements, value);
    return borrow(elements, shape);
  }

 private:
  std::size_t page_, bytes_, count_;
  char* base_ = nullptr;
};

template <class T> void touch_only_what_is_there() {
  for (const std::size_t n : {1, 2, 3, 5, 7, 8, 13, 15, 16, 17, 31, 33, 47, 65, 100}) {
    AtThePageEnd<T> x_memory(n), y_memory(n), rows_memory(3 * n), table_memory(n * n), out_memory(n * n), column_memory(n), integers_memory(n);
    const auto x = x_memory.tensor({n}, T(1.f)), y = y_memory.tensor({n}, T(2.f));
    map_into(x_memory.tensor({n}, T(1.f)), [](auto a, auto b) { return exp(a) * b; }, x, y);
    const auto rows = rows_memory.tensor({3, n}, T(0.5f));
    softmax_into(rows, rows);
    softmax_into(rows, rows, 0);
    CHECK(static_cast<float>(rows.view()(0, 0)) == doctest::Approx(1.f / 3).epsilon(0.01));
    layer_norm_into(rows, rows, x, y, 1e-5f);
    CHECK(static_cast<float>(reduce_sum<float>(y_memory.tensor({n}, T(2.f))).view()()) == 2.f * static_cast<float>(n));
    const auto table = table_memory.tensor({n, n}, T(1.f));
    const auto column = column_memory.tensor({n}, T(1.f));
    matmul_into(out_memory.tensor({n, n}, T(0.f)), table, table.transpose(), [](auto sum, auto c) { return sum + c; }, column);
    CHECK(static_cast<float>(matmul<float>(table, column).view()(n - 1)) == static_cast<float>(n));
    CHECK(static_cast<float>(matmul<float>(column, table).view()(n - 1)) == static_cast<float>(n));
    AtThePageEnd<std::int8_t> quantized_memory(n);
    const auto quantized = quantized_memory.tensor({n}, std::int8_t{2});
    CHECK(static_cast<float>(dequantize<T>(quantized, from({0.5f}, {1})).view()(n - 1)) == 1.f);
    CHECK(map<std::int8_t>([](auto a) { return a + 1.f; }, y_memory.tensor({n}, T(2.f))).view()(n - 1) == 3);
  }
}

TEST_CASE("kernels read and write nothing behind the last element") {
  on_every_target([] {
    touch_only_what_is_there<float>();
    touch_only_what_is_there<bf16>();
    touch_only_what_is_there<f16>();
  });
}
#endif

}  // namespace
}  // namespace cotenant::test

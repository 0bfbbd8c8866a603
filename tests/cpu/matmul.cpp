// MatmulPlan: which product is computed, and in which blocks.
#include "cotenant/cpu/matmul.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace {

using namespace cotenant;

void never(const cpu::GemmProblem&, std::size_t, std::size_t) { FAIL("not for these"); }
void few_of_a(const cpu::GemmProblem&, std::size_t, std::size_t) {}
const cpu::GemmKernel kernel{8, 1, 4, 3, false, nullptr, nullptr, nullptr};

struct Operands {
  Shape shape;
  Strides out, a, b;
};
// No memory is touched by a plan: the numbers stand for addresses.
cpu::MatmulPlan<0> plan_of(const Operands& o, std::size_t depth, cpu::MultiplyFewRows of_b, cpu::MultiplyFewRows of_a, bool direct = true) {
  cpu::MatmulPlan<0> plan;
  plan.gemm.kernel = &kernel;
  plan.gemm.left.element_size = plan.gemm.right.element_size = plan.out.element_size = sizeof(float);
  plan.gemm.left.is_float = plan.gemm.right.is_float = plan.out.is_float = true;
  plan.set_up(o.shape, depth, o.out, o.a, o.b, {}, direct, of_b, of_a, false);
  return plan;
}

}  // namespace

TEST_CASE("rows and columns keep their places, or change them where the transposed product has few rows") {
  const auto straight = plan_of({{20, 30}, {30, 1}, {40, 1}, {30, 1}}, 40, &never, &few_of_a);
  CHECK(!straight.swapped);
  CHECK(straight.is_direct);
  CHECK(straight.gemm.rows == 20);
  CHECK(straight.gemm.columns == 30);
  CHECK(straight.gemm.left.row_stride == 40);
  CHECK((straight.gemm.few_rows == nullptr));

  const auto swapped = plan_of({{200, 3}, {3, 1}, {40, 1}, {3, 1}}, 40, &never, &few_of_a);
  CHECK(swapped.swapped);
  CHECK(!swapped.is_direct);  // its columns are three elements apart
  CHECK(swapped.gemm.rows == 3);
  CHECK(swapped.gemm.columns == 200);
  CHECK(swapped.gemm.right.column_stride == 40);
  CHECK((swapped.gemm.few_rows == &few_of_a));

  // Without kernels for few rows nothing is swapped.
  CHECK(!plan_of({{200, 3}, {3, 1}, {40, 1}, {3, 1}}, 40, nullptr, nullptr).swapped);
}

TEST_CASE("batch entries that follow each other are rows of one product, if the right operand is one matrix") {
  const auto merged = plan_of({{6, 5, 7}, {35, 7, 1}, {20, 4, 1}, {0, 7, 1}}, 4, &never, &never);
  CHECK(merged.one_right);
  CHECK(merged.gemm.rows == 30);
  CHECK(merged.batch.rank == 0);
  const auto apart = plan_of({{6, 5, 7}, {35, 7, 1}, {20, 4, 1}, {28, 7, 1}}, 4, &never, &never);
  CHECK(!apart.one_right);
  CHECK(apart.gemm.rows == 5);
  CHECK(apart.batch.outer_count(0) == 6);
}

TEST_CASE("the blocks cover each element once") {
  for (const std::size_t rows : {std::size_t{5}, std::size_t{64}, std::size_t{1000}}) {
    static std::mutex mutex;
    static std::vector<int> covered;
    static std::size_t width;
    const std::size_t batches = 3, columns = 150;
    width = columns;
    covered.assign(batches * rows * columns, 0);
    const auto r = static_cast<std::ptrdiff_t>(rows), c = static_cast<std::ptrdiff_t>(columns);
    auto plan = plan_of({{batches, rows, columns}, {r * c, c, 1}, {r * 500, 500, 1}, {500 * c, c, 1}}, 500, nullptr, nullptr, false);
    plan.block = [](const cpu::GemmProblem& problem, std::size_t first_row, std::size_t last_row, std::size_t first_panel, std::size_t last_panel) {
      const std::lock_guard lock(mutex);
      const cpu::Panels panels(problem.columns, kernel);
      for (std::size_t row = first_row; row < last_row; ++row)
        for (std::size_t column = panels.first_column(first_panel); column < std::min(problem.columns, panels.first_column(last_panel)); ++column)
          ++covered[(problem.batch * problem.rows + row) * width + column];
    };
    plan.run();
    std::size_t wrong = 0;
    for (const int times : covered) wrong += times != 1;
    CHECK(wrong == 0);
  }
}

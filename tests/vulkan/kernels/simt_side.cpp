#include "cotenant/vulkan/kernels/simt_side.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("a side needs registers for its share of a block, four where it is turned on its way") {
  using vulkan::detail::SimtSide;
  CHECK(SimtSide::registers(64, 16, 64, Fetch::scalar_depth) == 4);
  CHECK(SimtSide::registers(64, 16, 64, Fetch::vector_across) == 8);
  CHECK(SimtSide::registers(256, 16, 32, Fetch::vector_across) == 1);
  CHECK(SimtSide::registers(256, 16, 32, Fetch::vector_depth) == 4);
}

TEST_CASE("a block comes to shared memory from every layout") {
  const Capabilities device = test::paper_device();
  for (const Fetch fetch : test::every_fetch) {
    const ProductCode code = test::plain_code(DType::f32, DType::f32, DType::f32, fetch, Fetch::vector_across);
    KernelBuilder k({device, Addressing::pointers}, {.workgroup = 64});
    ProductFrame frame(k, code);
    const Shared shared = k.shared(k.vector(k.f32(), 4), 16 * 16);
    frame.for_tile(64, 64, [&] {
      std::vector<Variable> registers;
      for (std::uint32_t i = 0; i < vulkan::detail::SimtSide::registers(64, 16, 64, fetch); ++i) registers.push_back(k.variable(k.vector(k.f32(), 4)));
      const OperandCode& x = frame.operands[0];
      vulkan::detail::SimtSide side(frame, 64, 16, {&x, fetch, true, 64, frame.rows, frame.row0, x.row, x.column, frame.depth, frame.to, {}, false}, registers);
      side.fetch(frame.from);
      side.put(shared, k.constant(0u));
      k.barrier();
      frame.store_four(frame.row0, frame.column0, side.get(shared, k.constant(0u), k.constant(3u), k.local_index() % 16u));
    });
    test::check_words(k.finish());
  }
}

}  // namespace

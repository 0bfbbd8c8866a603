#include "cotenant/vulkan/kernels/product_simt.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles on ordinary arithmetic are sound modules for every way of reading") {
  const Capabilities device = test::paper_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const Fetch a : test::every_fetch)
      for (const Fetch b : test::every_fetch) {
        const ProductCode code = test::plain_code(DType::f32, DType::f16, DType::f32, a, b, 2);
        test::check_words(emit_simt_product({device, addressing}, code, {8, 8, 1, 1, 16, false}));
      }
  ProductCode code = test::plain_code(DType::f32, DType::f32, DType::f32, Fetch::vector_depth, Fetch::vector_across);
  test::check_words(emit_simt_product({device, Addressing::pointers}, code, {}));
  SimtTile narrow;
  narrow.groups_over = 1;
  test::check_words(emit_simt_product({device, Addressing::pointers}, code, narrow));
  for (const Fetch a : test::every_fetch)
    test::check_words(emit_simt_product({device, Addressing::pointers}, test::plain_code(DType::f32, DType::f32, DType::f32, a, Fetch::vector_depth),
        {8, 8, 2, 2, 32, true, 2}));
  code.integers = true, code.a = code.b = DType::i8, code.out = DType::i32;
  test::check_words(emit_simt_product({device, Addressing::pointers}, code, narrow));
}

TEST_CASE("two blocks of the largest tiles fit 32 KiB of shared memory, and so does its strip of results") {
  CHECK(SimtTile{}.shared() * 16 <= 32768);
  CHECK(SimtTile{8, 8, 2, 2, 32, true, 2}.shared() * 16 <= 32768);
  CHECK(SimtTile{8, 8, 2, 2, 32, true, 2}.threads() == 128);
  CHECK(SimtTile{}.rows() == 128);
  CHECK(SimtTile{8, 8, 1, 1, 16, false}.shared() * 16 <= 4096);
}

}  // namespace

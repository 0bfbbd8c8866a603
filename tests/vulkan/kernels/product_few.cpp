#include "cotenant/vulkan/kernels/product_few.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("products of few rows are sound modules") {
  const Capabilities device = test::paper_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const std::uint32_t rows : {1u, 4u, 8u})
      for (const bool along : {true, false})
        for (const bool vectors : {true, false}) {
          const Fetch right = along ? (vectors ? Fetch::vector_depth : Fetch::scalar_depth) : (vectors ? Fetch::vector_across : Fetch::scalar_across);
          ProductCode code = test::plain_code(DType::f16, DType::bf16, DType::f32, vectors ? Fetch::vector_depth : Fetch::scalar_depth, right);
          code.vector_out = false;
          test::check_words(emit_few_product({device, addressing}, code, {rows, along ? 32u : 8u, 256, along, 16}));
        }
}

TEST_CASE("a left side that is read element by element keeps modules small") {
  const Capabilities device = test::paper_device();
  for (const std::uint32_t rows : {1u, 2u, 4u, 8u}) {
    ProductCode code = test::plain_code(DType::f16, DType::i8, DType::f32, Fetch::scalar_depth, Fetch::vector_depth);
    code.vector_out = false;
    const spirv::Words words = emit_few_product({device, Addressing::pointers}, code, {rows, 32, 256, true, 32});
    test::check_words(words);
    CHECK(words.size() < 30000);
  }
}

TEST_CASE("a workgroup's columns, and the sums that its threads leave") {
  CHECK(FewTile{1, 32, 256, true}.columns() == 8);
  CHECK(FewTile{1, 8, 256, false}.columns() == 32);
  CHECK(FewTile{2, 32, 256, true}.shared() == 2 * 8 * 33);
  CHECK(FewTile{2, 8, 256, false}.shared() == 2 * 4 * 264);
}

TEST_CASE("the tile of a few rows: lines as long as leave no multiprocessor without a workgroup") {
  Capabilities device = test::paper_device();
  const auto across = [&](std::size_t rows, std::size_t columns, DType right) { return choose_few_tile(device, rows, columns, right, false, 132); };
  CHECK(across(1, 16384, DType::f16).lanes == 32);
  CHECK(across(1, 16384, DType::f16).threads == 1024);
  CHECK(across(1, 16384, DType::f16).ahead == 16);
  CHECK(across(1, 8192, DType::f16).lanes == 16);
  CHECK(across(1, 4096, DType::f16).lanes == 8);
  CHECK(across(1, 4096, DType::f16).threads == 512);  // lines of 64 bytes
  CHECK(across(1, 4096, DType::f32).threads == 1024);
  CHECK(across(1, 4096, DType::f32).ahead == 8);
  CHECK(across(1, 1, DType::f16).lanes == 8);
  CHECK(choose_few_tile(device, 1, 4096, DType::f16, true, 132).columns() == 4);
  for (const std::uint32_t bytes : {16384u, 32768u, 49152u})
    for (const std::size_t rows : {1u, 2u, 3u, 8u})
      for (const std::size_t columns : {16u, 4096u, 65536u})
        for (const bool along : {true, false}) {
          device.shared_memory_bytes = bytes;
          const FewTile tile = choose_few_tile(device, rows, columns, DType::f16, along, 132);
          CHECK(tile.rows >= rows);
          CHECK(tile.shared() * 4 <= bytes);
          CHECK(tile.threads % tile.lanes == 0);
        }
}

}  // namespace

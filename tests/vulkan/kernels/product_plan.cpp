#include "cotenant/vulkan/kernels/product_plan.hpp"

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

using test::product_of;

TEST_CASE("the plan follows the device and the extents, the same every time") {
  const Capabilities gpu = test::paper_device();
  CHECK(default_plan(gpu, product_of(1, 4096, 4096, DType::f16), false, false).kernel == ProductKernel::few);
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::f32), false, false).kernel == ProductKernel::simt);
  // A few rows share one row of matrices, where the sides come in whole words.
  CHECK(default_plan(gpu, product_of(8, 4096, 4096, DType::f16), false, false).extent().rows == 16);
  CHECK(default_plan(gpu, product_of(8, 4095, 4095, DType::f16), false, false).kernel == ProductKernel::few);
  CHECK(default_plan(gpu, product_of(8, 4096, 4096, DType::f16), false, true).kernel == ProductKernel::few);
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::f16), false, false).kernel == ProductKernel::cooperative);
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::i8), true, false).cooperative.k == 32);
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::f16), false, true).kernel == ProductKernel::simt);
  // Large products take the tile with the most sums per thread; fewer tiles than multiprocessors smaller ones, or parts of depth.
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::f32), false, false).simt.rows() == 128);
  CHECK(default_plan(gpu, product_of(256, 256, 256, DType::f32), false, false).simt.rows() == 32);
  CHECK(default_plan(gpu, product_of(128, 3072, 768, DType::f32), false, false).splits > 1);
  CHECK(default_plan(gpu, product_of(128, 3072, 768, DType::f32), false, true).simt.unrolled == false);
  // Halves take the widest tile where it fills the device, a narrower or a lower one where that leaves fewer multiprocessors idle.
  CHECK(default_plan(gpu, product_of(4096, 4096, 4096, DType::f16), false, false).extent().columns == 128);
  Capabilities large = gpu;
  large.multiprocessors = 132;
  CHECK(default_plan(large, product_of(4096, 768, 768, DType::f16), false, false).extent().columns == 96);
  CHECK(default_plan(large, product_of(2048, 3072, 768, DType::i8), true, false).extent().rows == 96);
  CHECK(default_plan(large, product_of(2048, 2048, 2048, DType::f16), false, false).extent().columns == 128);
  CHECK(default_plan(large, product_of(1024, 1024, 1024, DType::f16), false, false).extent().rows == 64);
  CHECK(default_plan(large, product_of(1536, 1536, 1536, DType::f16), false, false).extent().rows == 96);
  CHECK(default_plan(large, product_of(1536, 1536, 1536, DType::f16), false, false).extent().columns == 96);
  CHECK(default_plan(large, product_of(768, 768, 768, DType::bf16), false, false).extent().rows == 96);
  CHECK(default_plan(large, product_of(512, 768, 3072, DType::f16), false, false).extent().columns == 96);
  // Half lines of the cache, two blocks at a time, where a side lies across depth.
  CHECK(default_plan(large, product_of(2048, 2048, 2048, DType::f16), false, false).cooperative.blocks == 2);
  MatrixProduct transposed = product_of(2048, 2048, 2048, DType::f16);
  std::swap(transposed.b().row, transposed.b().column);
  CHECK(default_plan(large, transposed, false, false).cooperative.depth == 64);
  // A long depth is shared out where tiles are few, unless the second launch costs more.
  CHECK(default_plan(large, product_of(128, 3072, 768, DType::f16), false, false).splits > 2);
  CHECK(default_plan(large, product_of(128, 768, 768, DType::f16), false, false).splits == 1);
  CHECK(default_plan(large, product_of(2048, 2048, 2048, DType::f16), false, false).splits == 1);
  // One workgroup to a multiprocessor would wait for memory.
  CHECK(default_plan(large, product_of(128, 768, 3072, DType::f16), false, false).extent().columns == 32);
  CHECK(default_plan(large, product_of(128, 768, 768, DType::i8), true, false).cooperative.depth == 256);
  // Few tiles and a long depth: several workgroups per tile.
  CHECK(default_plan(gpu, product_of(64, 65536, 64, DType::f32), false, false).splits > 1);
  Capabilities software = gpu;
  software.type = DeviceType::software, software.cooperative_matrix = false;
  const ProductPlan plan = default_plan(software, product_of(4096, 4096, 4096, DType::f32), false, false);
  CHECK(plan.plain);
  CHECK_FALSE(plan.simt.unrolled);
  CHECK(plan.splits == 1);
  Capabilities other = gpu;
  other.matrix_shapes.clear();
  CHECK(default_plan(other, product_of(4096, 4096, 4096, DType::f16), false, false).kernel == ProductKernel::simt);
}

TEST_CASE("every plan's tile fits the device's shared memory") {
  Capabilities gpu = test::paper_device();
  for (const std::size_t shared : {std::size_t{49152}, std::size_t{32768}, std::size_t{16384}})
    for (const std::size_t n : {64u, 512u, 1024u, 2048u, 4096u}) {
      gpu.shared_memory_bytes = shared;
      CHECK(default_plan(gpu, product_of(n, n, n, DType::f32), false, false).simt.shared() * 16 <= shared);
    }
  for (const std::size_t shared : {std::size_t{49152}, std::size_t{32768}})
    for (const DType type : {DType::f16, DType::i8})
    for (const std::size_t n : {64u, 512u, 1024u, 2048u, 4096u}) {
      gpu.shared_memory_bytes = shared;
      const ProductPlan plan = default_plan(gpu, product_of(n, n, n, type), type == DType::i8, false);
      const CooperativeTile& tile = plan.cooperative;
      for (const Fetch a : test::every_fetch)
        for (const Fetch b : test::every_fetch) {
          using Layout = vulkan::detail::CooperativeSide::Layout;
          const std::size_t words = Layout(tile, true, a, type).size() + Layout(tile, false, b, type).size();
          CHECK(std::max<std::size_t>(words, tile.subgroups() * tile.strip()) * 16 <= gpu.shared_memory_bytes);
        }
    }
}

TEST_CASE("vectors where lines are aligned, else element by element along the nearer axis") {
  const Capabilities gpu = test::paper_device();
  const auto fetches = [&](MatrixProduct product) {
    ProductPlan plan = default_plan(gpu, product, false, false);
    ProductCode code;
    choose_fetches(plan, product, code);
    return std::pair{code.fetch_a, code.fetch_b};
  };
  CHECK(fetches(product_of(512, 512, 512, DType::f32)) == std::pair{Fetch::vector_depth, Fetch::vector_across});
  CHECK(fetches(product_of(512, 511, 511, DType::f32)) == std::pair{Fetch::scalar_depth, Fetch::scalar_across});
  MatrixProduct padded = product_of(512, 511, 512, DType::f32);
  padded.a().row = 512, padded.a().padded = true;
  CHECK(fetches(padded).first == Fetch::vector_depth);
  MatrixProduct transposed = product_of(512, 512, 512, DType::f32);
  std::swap(transposed.b().row, transposed.b().column);
  CHECK(fetches(transposed).second == Fetch::vector_depth);
}

}  // namespace

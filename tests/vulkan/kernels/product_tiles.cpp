// Every tile of the table of products, however its sides lie: on sizes that are no multiples of it, with an epilogue, whole and in parts of
// depth. Small integers, whose sums are exact. COTENANT_TEST_WIDE=1: every pair of layouts, whole and in parts, by pointers and descriptors.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cotenant/vulkan/kernels/matmul.hpp"
#include "../test_device.hpp"

namespace {
using namespace cotenant;
namespace product_tiles {
using namespace cotenant::vulkan;

// How a side lies in memory: along depth or across it, lines at multiples of 16 bytes or not.
struct Lies {
  bool along_depth, aligned;
};
constexpr Lies every_way[] = {{true, true}, {false, true}, {true, false}, {false, false}};

// A side of lines x depth numbers from -3 to 3, and where each of them is.
template <class T> struct Side {
  Side(const Vulkan& gpu, std::size_t lines, std::size_t depth, Lies lies, std::size_t seed) {
    const std::size_t length = lies.along_depth ? depth : lines, rounded = (length + 15) / 16 * 16;
    const std::size_t line = lies.aligned ? rounded : rounded + 1, first = lies.aligned ? 0 : 3;
    std::vector<T> all(first + line * (lies.along_depth ? lines : depth), convert<T>(100));  // what lies between lines is not to be used
    across = lies.along_depth ? line : 1, step = lies.along_depth ? 1 : line;
    numbers.resize(lines * depth);
    for (std::size_t i = 0; i < lines; ++i)
      for (std::size_t d = 0; d < depth; ++d) {
        const int number = static_cast<int>((i * 31 + d * 17 + seed + i * d) % 7) - 3;
        numbers[i * depth + d] = number;
        all[first + i * across + d * step] = convert<T>(number);
      }
    tensor = test::to_device(gpu, all).slice(0, static_cast<std::ptrdiff_t>(first), static_cast<std::ptrdiff_t>(all.size()));
  }
  std::vector<int> numbers;  // [lines, depth]
  std::size_t across = 0, step = 0;
  SharedTensor<T, Vulkan> tensor;
};

template <class T, class Out> void check(const Vulkan& gpu, const ProductPlan& plan, std::size_t m, std::size_t k, std::size_t n, Lies a_lies, Lies b_lies) {
  const Side<T> a(gpu, m, k, a_lies, 1), b(gpu, n, k, b_lies, 5);
  const auto signed_size = [](std::size_t x) { return static_cast<std::ptrdiff_t>(x); };
  const AnyOperand left = AnyOperand(input(a.tensor)).with({{m, k}, {signed_size(a.across), signed_size(a.step)}, 0});
  const AnyOperand right = AnyOperand(input(b.tensor)).with({{k, n}, {signed_size(b.step), signed_size(b.across)}, 0});
  std::vector<float> biases(n), residuals(m * n);
  for (std::size_t j = 0; j < n; ++j) biases[j] = static_cast<float>(j % 5);
  for (std::size_t i = 0; i < m * n; ++i) residuals[i] = static_cast<float>(i % 11);
  const auto bias = test::to_device(gpu, biases), residual = test::to_device(gpu, residuals);
  const auto out = empty<Out>({m, n}, gpu);
  const std::array<AnyOperand, 2> extra{AnyOperand(input(bias)).with({{m, n}, {0, 1}, 0}),
      AnyOperand(input(residual)).with(contiguous_layout({m, n}))};
  const MatrixProduct product = matrix_product(k, left, right, output(out), extra);
  ProductCode code;
  code.integers = size_of(dtype_of<T>) == 1;
  code.epilogue_text = "tiles: bias and residual";
  code.epilogue = [](ProductFrame& frame) -> Epilogue {
    return [&k = frame.k](const std::vector<Value>& v) { return spirv::convert(spirv::shaped_as(v[0].type, k.f32()), v[0]) + v[1] + v[2]; };
  };
  vulkan::detail::run_planned(gpu.device(), *gpu.shared_stream(), product, plan, code);
  const std::vector<Out> got = test::to_host(out);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      int sum = static_cast<int>(j % 5 + (i * n + j) % 11);
      for (std::size_t d = 0; d < k; ++d) sum += a.numbers[i * k + d] * b.numbers[j * k + d];
      wrong += got[i * n + j] == convert<Out>(static_cast<float>(sum)) ? 0 : 1;
    }
  INFO("m k n ", m, " ", k, " ", n, ", tile ", std::string(plan.key()), ", left along depth ", a_lies.along_depth, " aligned ", a_lies.aligned, ", right ",
      b_lies.along_depth, " ", b_lies.aligned, ", splits ", plan.splits);
  CHECK(wrong == 0);
}

template <class T, class Out> void check_tile(const Vulkan& gpu, const ProductPlan& whole) {
  static const bool wide = std::getenv("COTENANT_TEST_WIDE") != nullptr;
  static std::size_t turn = 0;
  const TileExtent tile = whole.extent();
  const std::size_t m = tile.rows + 3, n = tile.columns + 5, more = n + 7;  // one of them a multiple of four
  ++turn;
  for (std::size_t a = 0; a < 4; ++a)
    for (std::size_t b = 0; b < 4; ++b) {
      if (!wide && (a + b + turn) % 4 != 0) continue;
      ProductPlan plan = whole;
      for (const std::size_t splits : {1u, 3u}) {
        if (!wide && splits != ((a + turn) % 2 == 0 ? 1u : 3u)) continue;
        plan.splits = splits;
        // Lines along depth are whole words. Where blocks take turns, two turns and a half.
        const std::size_t blocks = whole.kernel == ProductKernel::cooperative && whole.cooperative.blocks == 2 ? 5 : 1;
        check<T, Out>(gpu, plan, m, (splits == 1 ? 1 : 3) * blocks * tile.depth + 16, (a + b) % 2 == 0 ? n : more / 4 * 4, every_way[a], every_way[b]);
        if (wide) check<T, Out>(gpu, plan, m, 2 * tile.depth + 5, n, every_way[a], every_way[b]);
      }
    }
}

TEST_CASE("each tile of products, however its sides lie") {
  // Descriptors say where each operand ends.
  for (const bool descriptors : {true, false}) {
    if (!descriptors && std::getenv("COTENANT_TEST_WIDE") == nullptr) break;
    const test::Checked gpu(test::checked_options(descriptors));
    const Capabilities& device = gpu->capabilities();
    ProductPlan plan;
    plan.kernel = ProductKernel::simt;
    plan.simt = {8, 8, 1, 1, 16, false};
    check_tile<float, float>(*gpu, plan);
    // A device that computes on the CPU takes seconds to compile one of the others.
    if (device.type != DeviceType::software)
      for (const auto& rated : vulkan::detail::rated_tiles) {
        plan.simt = rated.tile;
        check_tile<float, float>(*gpu, plan), check_tile<f16, bf16>(*gpu, plan);
      }
    plan.kernel = ProductKernel::cooperative;
    const auto cooperates = [&](const CooperativeTile& tile, DType type) {
      plan.cooperative = vulkan::detail::for_elements(tile, size_of(type));
      return vulkan::detail::may_cooperate(device, type, type, type == DType::i8) && vulkan::detail::fits(device, plan.cooperative, type, type);
    };
    std::vector<CooperativeTile> tiles{{16, 64, 128, 16, 16}};
    for (const auto& timed : vulkan::detail::timed_tiles) tiles.push_back(timed.tile);
    for (const CooperativeTile& tile : tiles) {
      if (cooperates(tile, DType::f16)) check_tile<f16, float>(*gpu, plan);
      if (cooperates(tile, DType::bf16)) check_tile<bf16, f16>(*gpu, plan);
      if (cooperates(tile, DType::i8)) check_tile<std::int8_t, float>(*gpu, plan);
    }
  }
}

}  // namespace product_tiles
}  // namespace

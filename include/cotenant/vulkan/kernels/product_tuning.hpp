// ProductTuning: tiles chosen by measurement, one table per device and driver on the disk; what it does not know is default_plan's choice.
#ifndef COTENANT_VULKAN_KERNELS_PRODUCT_TUNING_HPP
#define COTENANT_VULKAN_KERNELS_PRODUCT_TUNING_HPP
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cotenant/vulkan/cache_file.hpp"
#include "cotenant/vulkan/device.hpp"
#include "cotenant/vulkan/kernels/product_plan.hpp"

namespace cotenant::vulkan {

// The tiles that may multiply `product` on a device, the default one first: what tuning measures and a table may name.
inline std::vector<ProductPlan> product_candidates(const Capabilities& device, const MatrixProduct& product, bool integers) {
  std::vector<ProductPlan> plans{default_plan(device, product, integers, false)};
  if (plans[0].kernel == ProductKernel::few) return plans;
  const auto add = [&](const ProductPlan& plan) {
    for (const ProductPlan& known : plans) if (known.key() == plan.key()) return;
    plans.push_back(plan);
  };
  ProductPlan plan = plans[0];
  plan.splits = 1;
  if (plan.kernel == ProductKernel::cooperative) {
    const auto consider = [&](const CooperativeTile& tile) {
      plan.cooperative = detail::for_elements(tile, size_of(product.a().type));
      if (detail::fits(device, plan.cooperative, product.a().type, product.b().type)) add(plan);
    };
    for (const detail::TimedTile& choice : detail::timed_tiles) consider(choice.tile);
    consider({128, 128, 64, 64, 64, 16, 16, 16, 32, true});
    consider({128, 256, 48, 64, 64, 16, 16, 16, 32, true});
    if (may_use_workgroup_matrices(device, product)) {
      plan.kernel = ProductKernel::workgroup;
      add(plan);
    }
  } else {
    for (const SimtTile& tile : {SimtTile{8, 16, 4, 2, 16, true}, {8, 16, 2, 2, 16, true}, {16, 8, 2, 2, 16, true}, {8, 8, 2, 2, 32, true, 2},
        {8, 8, 2, 2, 16, true, 2}, {8, 8, 1, 1, 32, true, 2}, {8, 8, 1, 1, 16, false}}) {
      plan.simt = tile;
      if (tile.shared() * 16 <= device.shared_memory_bytes && tile.threads() <= device.max_workgroup_invocations) add(plan);
    }
  }
  return plans;
}

class ProductTuning {
 public:
  // The table of a device: read from the disk when it is first asked for.
  static ProductTuning& of(Device& device) {
    // Every product asks: a thread remembers whose table it had last.
    thread_local std::weak_ptr<Device> last;
    thread_local ProductTuning* found = nullptr;
    if (last.lock().get() == &device) return *found;
    last = device.weak_from_this();
    return *(found = &table_of(device));
  }

  // Whether any table of this process knows anything: what a product asks first.
  static std::atomic<bool>& any() {
    static std::atomic<bool> known{false};
    return known;
  }
  explicit ProductTuning(std::string path) : path_(std::move(path)) {
    const auto content = path_.empty() ? std::vector<unsigned char>() : cache_file::read(path_);
    std::string line;
    for (const unsigned char character : content) {
      if (character != '\n') {
        line += static_cast<char>(character);
        continue;
      }
      if (const std::size_t tab = line.find('\t'); tab != std::string::npos) tiles_[line.substr(0, tab)] = line.substr(tab + 1);
      line.clear();
    }
    if (!tiles_.empty()) any() = true;
  }

  // Products of one class share a tile: elements, layouts, and extents up to the next power of two.
  static std::string class_of(const MatrixProduct& product, bool integers) {
    const auto power = [](std::size_t extent) { return std::to_string(bits_of(extent)); };
    const auto layout = [](const MatrixOperand& x) { return x.column == 1 ? "r" : x.row == 1 ? "c" : "s"; };
    return std::string(integers ? "i32 " : "") + std::string(to_string(product.a().type)) + layout(product.a()) + " " +
        std::string(to_string(product.b().type)) + layout(product.b()) + " " +
           power(product.rows * product.batches()) + " " + power(product.columns) + " " + power(product.depth);
  }
  // The plan that was measured to be the fastest for such products, if any was.
  std::optional<ProductPlan> find(const Capabilities& device, const MatrixProduct& product, bool integers) const {
    const std::lock_guard lock(mutex_);
    const auto found = tiles_.find(class_of(product, integers));
    if (found == tiles_.end()) return {};
    for (const ProductPlan& plan : product_candidates(device, product, integers)) if (plan.key() == found->second) return plan;
    return {};  // of another version of this library, or for whole tiles only
  }
  // Replaces the default plan by that one: at each product's price, which find() is not.
  void choose(const Capabilities& device, const MatrixProduct& product, bool integers, ProductPlan& plan) {
    const std::uint64_t number = number_of(product, integers);
    std::optional<ProductPlan> fastest;
    bool is_known = false;
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = plans_.find(number); known != plans_.end()) is_known = true, fastest = known->second;
    }
    if (!is_known) {
      fastest = find(device, product, integers);
      const std::lock_guard lock(mutex_);
      if (fastest || tiles_.count(class_of(product, integers)) == 0) plans_[number] = fastest;
    }
    if (!fastest || (fastest->kernel == ProductKernel::workgroup && !may_use_workgroup_matrices(device, product, fastest->workgroup))) return;
    // How many parts depth is cut into depends on more than the class.
    const TileExtent before = plan.extent(), after = fastest->extent();
    const std::size_t splits = before.rows == after.rows && before.columns == after.columns ? plan.splits : 1;
    plan = *fastest;
    plan.splits = splits;
  }
  // Remembers a choice, on the disk too where there is a place.
  void set(const MatrixProduct& product, bool integers, const ProductPlan& plan) {
    const std::lock_guard lock(mutex_);
    tiles_[class_of(product, integers)] = plan.key().view();
    plans_[number_of(product, integers)] = plan;
    any() = true;
    if (path_.empty()) return;
    std::vector<unsigned char> content;
    for (const auto& [name, tile] : tiles_) {
      const std::string line = name + "\t" + tile + "\n";
      content.insert(content.end(), line.begin(), line.end());
    }
    cache_file::write(path_, content);
  }

 private:
  static std::uint64_t bits_of(std::size_t extent) {
    std::uint64_t bits = 0;
    while (std::size_t{1} << bits < extent) ++bits;
    return bits;
  }
  // The class as a number: what every product asks with.
  static std::uint64_t number_of(const MatrixProduct& product, bool integers) {
    std::uint64_t number = integers;
    for (const MatrixOperand* x : {&product.a(), &product.b()})
      number = number << 10 | static_cast<std::uint64_t>(x->type) << 2 | (x->column == 1 ? 0u : x->row == 1 ? 1u : 2u);
    for (const std::size_t extent : {product.rows * product.batches(), product.columns, product.depth}) number = number << 6 | bits_of(extent);
    return number;
  }
  static ProductTuning& table_of(Device& device) {
    static std::mutex mutex;
    static std::map<std::string, std::unique_ptr<ProductTuning>> tables;
    const std::string folder = cache_folder(device.options().cache_folder), name = cache_file_name("products", device.capabilities());
    const std::string path = folder.empty() ? std::string() : folder + "/" + name;
    const std::lock_guard lock(mutex);
    auto& table = tables[path.empty() ? name : path];
    if (!table) table = std::make_unique<ProductTuning>(path);
    return *table;
  }

  const std::string path_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> tiles_;
  std::map<std::uint64_t, std::optional<ProductPlan>> plans_;  // as products have asked for them
};

}  // namespace cotenant::vulkan

#endif

"""What is wrong with a translation: parts that differ from the English, words, punctuation, blanks."""

import re
from collections import Counter
from collections.abc import Iterator

from .blocks import SAME, fixed

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
# Words that belong to the other language, or to another word of the field, and what to write instead.
FORBIDDEN = {
    "zh-CN": {
        "模組": "模块", "程式": "程序、代码", "網路": "网络", "函式": "函数", "物件": "对象", "變數": "变量",
        "預設": "默认", "記憶體": "内存", "檔案": "文件", "資料": "数据", "執行": "运行", "回傳": "返回",
        "激励函数": "激活函数", "缓冲器": "缓冲区", "装置": "设备", "权值": "权重",
        "模组": "模块", "网路": "网络", "预设": "默认", "记忆体": "内存", "档案": "文件", "资料": "数据",
        "资讯": "信息", "讯息": "消息", "支援": "支持", "呼叫": "调用", "引数": "参数", "阵列": "数组",
        "字串": "字符串", "字元": "字符", "串列": "列表", "回圈": "循环", "位元": "位", "汇入": "导入",
        "载入": "加载", "滑鼠": "鼠标", "视窗": "窗口", "选单": "菜单", "连结": "链接", "搜寻": "搜索",
        "品质": "质量", "伺服器": "服务器", "快取": "缓存", "除错": "调试", "批次": "批量", "区块": "块",
        "最佳化": "优化", "相容": "兼容", "套件": "包", "全域": "全局", "元件": "组件", "专案": "项目",
        "杂凑": "哈希", "机率": "概率", "巢状": "嵌套", "介面": "接口、界面", "软体": "软件", "硬体": "硬件",
    },
    "zh-TW": {
        "模塊": "模組", "網絡": "網路", "設備": "裝置", "漸層": "梯度", "偏置": "偏差", "批量": "批次",
        "對象": "物件", "函數": "函式（激活函數除外）", "調用": "呼叫", "返回": "回傳", "保存": "儲存",
        "加載": "載入", "代碼": "程式碼", "內存": "記憶體", "默認": "預設", "數據": "資料", "異常": "例外",
        "導入": "匯入", "異步": "非同步", "線程": "執行緒", "變量": "變數", "字符": "字元、字串",
        "數組": "陣列", "打印": "印出", "列表": "串列、清單", "鉤子": "掛勾", "運行": "執行", "信息": "訊息",
        "屏幕": "螢幕", "鏈接": "連結", "搜索": "搜尋", "質量": "品質", "軟件": "軟體", "硬件": "硬體",
        "程序": "程式", "進程": "行程", "界面": "介面", "循環": "迴圈", "兼容": "相容",
        "支持": "支援", "創建": "建立", "添加": "加入", "訪問": "存取", "隊列": "佇列", "緩存": "快取",
        "隨機種子": "亂數種子", "視頻": "影片", "用戶": "使用者", "接口": "介面", "字節": "位元組",
        "服務器": "伺服器", "鼠標": "滑鼠", "窗口": "視窗", "菜單": "選單", "調試": "除錯", "指針": "指標",
        "布爾": "布林", "全局": "全域", "文件夾": "資料夾", "文檔": "文件", "粘貼": "貼上", "登錄": "登入",
        "示例": "範例", "缺省": "預設", "哈希": "雜湊", "遍歷": "走訪", "嵌套": "巢狀", "概率": "機率",
        "拷貝": "複製", "遞歸": "遞迴", "注釋": "註解", "命令行": "命令列", "倉庫": "儲存庫", "插件": "外掛",
    },
}  # fmt: skip
CHARACTERS = {  # frequent ones of the other Chinese; those that both have are left out
    "zh-CN": set("這們個為與對會發時來說過還沒層參數關設網絡權載儲訓練輸導後從裡樣種類動態產線檔號碼"),
    "zh-TW": set(
        "这们个为与对会发时来说过还没层参数关设网络权载储训练输导从样种类动态产线号码务员块并单传给"
    ),
}
ALLOWED = {"zh-TW": ["激活函數"]}  # although a part of it is forbidden


def problems(english: str, translation: str, language: str) -> Iterator[str]:
    """Yield a sentence on each problem of a translation."""
    before, after = Counter(fixed(english)), Counter(fixed(translation))
    if missing := before - after:
        yield f"missing: {', '.join(missing.elements())}"
    if added := after - before:
        yield f"not in the English: {', '.join(added.elements())}"
    yield from wording(translation, language)


def wording(text: str, language: str) -> Iterator[str]:
    """Yield a sentence on each word, mark or blank that this language does not have."""
    # Code, formulas and places for values become one mark; what is not seen on the page is taken out.
    prose = SAME.sub(lambda part: "`" if part[0][0] in "`$h" or part[0] == "{}" else "", text).replace(
        "[", ""
    )
    words = prose
    for each in ALLOWED.get(language, ()):
        words = words.replace(each, "")
    yield from (f"{word}: write {better}" for word, better in FORBIDDEN[language].items() if word in words)
    if foreign := sorted(set(words) & CHARACTERS[language]):
        yield f"characters of the other Chinese: {''.join(foreign)}"
    for found in re.finditer(rf"[{HAN}][,;:!?]|[{HAN}]\.(?![\w`])", prose):
        yield f"western punctuation: {around(prose, found)}"
    for found in re.finditer(rf"[{HAN}](?=[A-Za-z0-9`])|[A-Za-z0-9`](?=[{HAN}])", prose):
        yield f"a blank is missing: {around(prose, found)}"
    for found in re.finditer(r" [，。：；！？、）」”]|[，。：；！？、（「“] ", prose):
        yield f"a blank beside Chinese punctuation: {around(prose, found)}"
    if language == "zh-TW" and re.search("[“”]", prose):
        yield "quotation marks are 「」"
    if language == "zh-CN" and re.search("[「」]", prose):
        yield "quotation marks are “”"


def around(text: str, found: re.Match[str]) -> str:
    return text[max(found.start() - 8, 0) : found.end() + 8]

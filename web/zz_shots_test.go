package web_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

type shots struct {
	t   *testing.T
	ctx context.Context
	s   *sallyporttest.Server
}

func (x shots) do(a ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, a...); err != nil {
		x.t.Fatal(err)
	}
}

const contrast = `(()=>{const P=c=>{const cv=document.createElement('canvas');cv.width=cv.height=1;const x=cv.getContext('2d',{willReadFrequently:true});x.clearRect(0,0,1,1);x.fillStyle=c;x.fillRect(0,0,1,1);const d=x.getImageData(0,0,1,1).data;return[d[0],d[1],d[2],d[3]/255]};
const over=(a,b)=>{const al=a[3];return[0,1,2].map(i=>a[i]*al+b[i]*(1-al)).concat(1)};
const bg=e=>{const st=[];while(e){const c=P(getComputedStyle(e).backgroundColor);st.push(c);if(c[3]===1)break;e=e.parentElement}let r=[255,255,255,1];for(const c of st.reverse())r=over(c,r);return r};
const lum=c=>{const f=[0,1,2].map(i=>{const v=c[i]/255;return v<=.03928?v/12.92:((v+.055)/1.055)**2.4});return .2126*f[0]+.7152*f[1]+.0722*f[2]};
const cr=(a,b)=>{const x=lum(a),y=lum(b);return(Math.max(x,y)+.05)/(Math.min(x,y)+.05)};
const out=[];const w=document.createTreeWalker(document.body,NodeFilter.SHOW_TEXT);let n;while(n=w.nextNode()){const t=n.textContent.trim();if(!t)continue;const e=n.parentElement;const s=getComputedStyle(e);if(s.visibility==='hidden'||s.display==='none'||!e.getClientRects().length||['SCRIPT','TITLE','DESC','OPTION'].includes(e.tagName))continue;const b=bg(e);let f=P(s.color);f=over(f,b);const r=cr(f,b);if(r<4.5)out.push(r.toFixed(2)+'  '+t.slice(0,44))}
for(const e of document.querySelectorAll('input,select,button,a,summary')){const r=e.getBoundingClientRect();if(r.width>1&&(r.height<24||r.width<24)&&!e.closest('p'))out.push('TARGET '+e.tagName+' '+e.textContent.trim().slice(0,20)+' '+Math.round(r.width)+'x'+Math.round(r.height));const s=getComputedStyle(e);if(e.tagName==='INPUT'&&r.width>1){const bc=cr(over(P(s.borderTopColor),bg(e.parentElement)),bg(e.parentElement));if(bc<3)out.push('BORDER '+bc.toFixed(2)+' '+e.id)}}
const d=document.documentElement;if(d.scrollWidth>d.clientWidth){out.push('SCROLL '+d.scrollWidth+'/'+d.clientWidth+' '+[...document.querySelectorAll('body *')].filter(x=>x.getBoundingClientRect().right>d.clientWidth+1).map(x=>x.tagName+'.'+x.className).slice(0,8).join(';'))}
if(document.querySelectorAll('h1').length!==1)out.push('H1 '+document.querySelectorAll('h1').length);
return out.join('\n')})()`

func (x shots) shot(name string) {
	x.t.Helper()
	dir := "/tmp/web/png/"
	_ = os.MkdirAll(dir, 0o755)
	for _, m := range []struct {
		suffix, scheme string
		w, h           int64
	}{{"", "light", 1100, 760}, {"-dark", "dark", 1100, 760}, {"-320", "light", 320, 640}} {
		must(chromedp.Call(x.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: m.w, Height: m.h, DeviceScaleFactor: 1, Mobile: m.w < 500}))
		must(chromedp.Call(x.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: m.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}))
		x.do(chromedp.Sleep(80*time.Millisecond))
		found := must(chromedp.Run(x.ctx, chromedp.Evaluate[string](contrast)))
		buf := must(chromedp.Run(x.ctx, chromedp.FullScreenshot(100)))
		if found != "" {
			x.t.Errorf("%s%s:\n%s", name, m.suffix, found)
		}
		if err := os.WriteFile(dir+name+m.suffix+".png", buf, 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x shots) open(path string) { x.t.Helper(); x.do(chromedp.Navigate(x.s.URL + path)) }

func (x shots) signIn(login, pw string) {
	x.t.Helper()
	x.open("/signin")
	x.eval(`document.getElementById("login").value="`+login+`"`)
	x.do(chromedp.SendKeys("#password", pw+"\r"), chromedp.Sleep(300*time.Millisecond))
}

func (x shots) code(c string) {
	x.t.Helper()
	x.eval(`document.getElementById("code").value=""`)
	x.do(chromedp.SendKeys("#code", c+"\r"), chromedp.Sleep(250*time.Millisecond))
}

func TestShots(t *testing.T) {
	if os.Getenv("SHOTS") == "" {
		t.Skip()
	}
	cat := text.Default().WithPseudo()
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.Catalogue = cat })
	maya := s.AddUser(t, s.Company, "maya", true)
	s.AddUser(t, s.Company, "omar", false)
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath("/usr/bin/chromium"), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.UserDataDir(t.TempDir())}
	actx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(actx)
	defer cancel()
	x := shots{t, ctx, s}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if !strings.Contains(m.Text, "Failed to load resource: the server responded with a status") {
				t.Errorf("console: %s %s", m, m.URL)
			}
		}
	}()
	must(chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Stockholm"}))
	x.open("/signin")
	x.shot("signin")
	x.signIn("maya", "wrong")
	x.shot("signin-wrong")
	x.signIn("maya", sallyporttest.Password)
	x.shot("code")
	x.code("123")
	x.shot("code-short")
	for range 4 {
		x.code(s.WrongCode(t, maya.Secret))
	}
	x.shot("code-error")
	x.code(s.Code(t, maya.Secret))
	x.shot("security-new")
	x.do(chromedp.Click("#menu summary"))
	x.shot("menu")
	s.Clock.Advance(5 * time.Minute)
	x.open("/account")
	x.shot("profile")
	s.Clock.Advance(15 * time.Minute)
	x.open("/account/security")
	x.do(chromedp.Click("#app form button"), chromedp.Sleep(300*time.Millisecond))
	x.shot("confirm")
	x.code(s.WrongCode(t, maya.Secret))
	x.shot("confirm-wrong")
	x.code(s.Code(t, maya.Secret))
	x.shot("setup")
	key := must(chromedp.Run(ctx, chromedp.AttributeValue("#key", "data-value"))).Value
	secret, err := otp.DecodeSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	x.code(sallyporttest.CodeAt(t, secret, s.Clock.Now().Add(4*time.Minute)))
	x.shot("setup-wrong")
	x.open("/account/security")
	x.shot("security-pending")
	x.do(chromedp.Click("#app .item-d a"), chromedp.Sleep(200*time.Millisecond))
	x.code(s.Code(t, secret))
	x.shot("security-done")
	x.open("/account/security/app/off")
	x.shot("off")
	x.open("/account/password")
	x.do(chromedp.SendKeys("#new", "short one"))
	x.shot("password")
	x.do(chromedp.SendKeys("#current", "nope"), chromedp.SendKeys("#confirm", "short one\r"), chromedp.Sleep(200*time.Millisecond))
	x.shot("password-error")
	s.SetTwoFactor(t, "acme", policy.Required)
	x.open("/account/security")
	x.shot("security-required")
	x.open("/account/security/app/off")
	x.shot("off-last")
	x.open("/nothing")
	x.shot("error")
	for _, lang := range []string{"en-XA", "ar-XB"} {
		x.eval(fmt.Sprintf(`document.cookie="sallyport_lang=%s; Path=/"`, lang))
		setLocale(t, s, maya.ID, lang)
		x.open("/account/security")
		x.shot("security-" + lang)
		x.open("/account/password")
		x.shot("password-" + lang)
		x.open("/account/security")
		x.do(chromedp.Click("#app form button"), chromedp.Sleep(300*time.Millisecond))
		x.shot("setup-" + lang)
		setLocale(t, s, maya.ID, "")
	}
	x.open("/signout")
	x.shot("signout")
	x.do(chromedp.Click("main form button"), chromedp.Sleep(200*time.Millisecond))
	x.shot("signed-out-ar-XB")
	x.eval(`document.cookie="sallyport_lang=en-XA; Path=/"`)
	x.signIn("omar", sallyporttest.Password)
	x.shot("denied-en-XA")
	x.eval(`document.cookie="sallyport_lang=; Max-Age=0; Path=/"`)
	x.signIn("omar", sallyporttest.Password)
	x.shot("denied")
	x.signIn("maya", sallyporttest.Password)
	for range 10 {
		has := must(chromedp.Run(ctx, chromedp.Evaluate[bool](`!!document.getElementById('code')`)))
		if !has {
			break
		}
		x.code(s.WrongCode(t, secret))
	}
	x.shot("paused")
	s.SetTwoFactor(t, "acme", policy.On)
	x.signIn("omar", sallyporttest.Password)
	x.shot("security-none")
	_ = url.PathEscape
	_ = authn.TOTP
}

func setLocale(t *testing.T, s *sallyporttest.Server, user, lang string) {
	t.Helper()
	err := s.Store.Decide(context.Background(), authn.Keys{Company: s.Company.ID, User: user, Now: s.Clock.Now()}, func(r *authn.Rows) authn.Verdict {
		u := *r.User
		u.Locale = lang
		return authn.Accept(authn.Event{Company: s.Company.ID, ID: authn.NewID(authn.EventID, s.Clock.Now(), rnd{}), Type: "profile.changed", Result: authn.Succeeded, At: s.Clock.Now()}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
}

type rnd struct{}

func (rnd) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(time.Now().UnixNano() >> (i % 5))
	}
	return len(b), nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (x shots) eval(js string) { must(chromedp.Run(x.ctx, chromedp.Evaluate[string](js+";''"))) }
